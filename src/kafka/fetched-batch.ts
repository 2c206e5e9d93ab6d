import type { KafkaMessage } from 'kafkajs'
import type { SourceMessage } from '../formats/message.ts'

/** What kafkajs 2.2.4 keeps on a record beside its declared type: the record batch that it came in. */
interface BatchContext {
  readonly firstOffset?: unknown
  readonly lastOffsetDelta?: unknown
}

/** One fetch's records of one partition, in offset order. */
export interface RecordBatch {
  readonly topic: string
  readonly partition: number
  readonly messages: SourceMessage[]
  /** One past the last offset covered: control records and compacted gaps count; messages may be empty. */
  readonly nextOffset: number
  readonly highWatermark: number
}

/**
 * One past everything that the last of these raw records (control records included) stands for: the end of
 * its record batch, in which compaction may have removed the records after it. undefined without records.
 */
export function offsetAfter(rawRecords: readonly KafkaMessage[]): number | undefined {
  const last = rawRecords.at(-1)
  if (last === undefined) return undefined
  const context: BatchContext | undefined =
    'batchContext' in last && typeof last.batchContext === 'object' && last.batchContext !== null
      ? last.batchContext
      : undefined
  const first = Number(context?.firstOffset)
  const delta = Number(context?.lastOffsetDelta)
  // messages in formats older than record batches have no context
  const endOfBatch = Number.isInteger(first) && Number.isInteger(delta) ? first + delta : 0
  return Math.max(endOfBatch, Number(last.offset)) + 1
}

/** A record with bytes of its own, so that keeping it does not keep the whole fetched buffer. */
export function ownMessage(topic: string, partition: number, message: KafkaMessage): SourceMessage {
  return {
    topic,
    partition,
    offset: Number(message.offset),
    timestampMs: Number(message.timestamp),
    key: copyOf(message.key),
    value: copyOf(message.value),
    headers: ownHeaders(message.headers),
  }
}

function ownHeaders(headers: KafkaMessage['headers']): SourceMessage['headers'] {
  const own: Record<string, Buffer | string | (Buffer | string)[] | undefined> = {}
  for (const [name, value] of Object.entries<unknown>(headers ?? {})) {
    own[name] = Array.isArray(value) ? value.map(ownHeader) : ownHeader(value)
  }
  return own
}

function ownHeader(value: unknown): Buffer | string {
  if (value instanceof Uint8Array) return Buffer.from(value)
  return typeof value === 'string' ? value : Buffer.alloc(0)
}

function copyOf(bytes: Buffer | null): Buffer | null {
  return bytes === null ? null : Buffer.from(bytes)
}
