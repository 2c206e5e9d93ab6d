import type { LabelstreamError } from '../core/errors.ts'
import type { InFlightMessage, PartitionStream } from './partition-stream.ts'

/**
 * How outcomes become durable and offsets committed: the difference between the promises. The pipeline tells what
 * is ready; what is durable comes back through the effects.
 */
export interface Delivery {
  /** The oldest messages of the stream may have their outcomes, or it was read over offsets without messages. */
  ready(stream: PartitionStream): void
  /** Nothing is being made durable, or waits to be. */
  readonly idle: boolean
  /** Nothing more will come: what waits for more goes now. */
  drain(): void
  /** The epoch ends in this moment; a commit that is begun now still counts. */
  revoked(): void
  /**
   * Commits a last time while the epoch lasts. Rejects when a broker refuses; gives up quietly when none can be
   * reached. Nothing is begun any more.
   */
  finish(): Promise<void>
}

export interface DeliveryEffects {
  /** The partitions of the current epoch. */
  readonly streams: () => Iterable<PartitionStream>
  /** The outcomes of this run are durable. */
  readonly acknowledged: (stream: PartitionStream, run: readonly InFlightMessage[]) => void
  readonly failed: (error: LabelstreamError) => void
}
