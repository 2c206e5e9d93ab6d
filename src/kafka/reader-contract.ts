import type { ErrorCode, LabelstreamError } from '../core/errors.ts'
import type { RecordBatch } from './fetched-batch.ts'
import type { GroupMemberOptions } from './group-member.ts'
import type { TopicPartition } from './ownership.ts'

export interface ReaderOptions extends GroupMemberOptions {
  /**
   * Awaited for each assignment before the committed offsets are looked up: the place to fence whoever had
   * the partitions before. Repeated with back-off while it rejects with a `retry` error.
   */
  readonly beforeStart?: ((epoch: number, partitions: readonly TopicPartition[]) => Promise<void>) | undefined
  /** Called when a fault of the infrastructure is about to be tried again. */
  readonly onRetry?: ((code: ErrorCode, message: string) => void) | undefined
}

/** What a reader tells. Every handler must return at once; none is called after `close`. */
export interface ReaderHandlers {
  /** A new ownership begins; the numbers rise. It may own nothing. */
  assigned(epoch: number, partitions: readonly TopicPartition[]): void
  /**
   * The ownership ends. A `commit` called inside this handler still counts for the epoch, unless the group has given the
   * partitions to somebody else already: then it is stale.
   */
  revoked(epoch: number): void
  /**
   * Records of a partition that the epoch owns, each batch beginning where the last one ended. The first
   * call for a partition has no messages: its nextOffset is where reading begins.
   */
  records(epoch: number, batch: RecordBatch): void
  /** Reading has ended for good: ACCESS_DENIED, AUTHENTICATION_FAILED, TOPIC_MISSING, RECORDS_CORRUPT, ... */
  failed(error: LabelstreamError): void
}
