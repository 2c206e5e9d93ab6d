import { sha256 } from '../core/digest.ts'
import { LabelstreamError, asLabelstreamError } from '../core/errors.ts'
import type { WriterSchemas } from '../formats/avro-value.ts'
import { type LabeledText, type LabeledTextOptions, decodeLabeledText } from '../formats/labeled-text.ts'
import type { SourceMessage } from '../formats/message.ts'
import { eventIdOf } from '../formats/text-value.ts'
import type { Segment, TopicSource } from '../models/data-manifest.ts'
import type { LabeledTexts } from './dataset.ts'

/** What is read of a topic. */
export interface TopicSpan {
  readonly topic: string
  readonly topicId?: string | undefined
  readonly partitions: readonly { readonly partition: number; readonly from: number; readonly to: number }[]
}

/** A labelled text and where it stands. */
export interface TopicRow {
  readonly partition: number
  readonly offset: number
  readonly text: LabeledText
}

/**
 * The labelled texts of a topic's messages (`latestRows`) with the offset ranges they came from and their digests,
 * so that the same rows can be asked for again.
 * Throws DATA_INVALID naming topic, partition and offset of a message that is no labelled text.
 */
export async function rowsOfTopic(
  span: TopicSpan,
  messages: AsyncIterable<SourceMessage>,
  options: LabeledTextOptions,
  schemas: WriterSchemas,
): Promise<LabeledTexts> {
  return textsOfRows(span, await latestRows(messages, options, schemas), options)
}

export function textsOfRows(
  { topic, topicId, partitions }: TopicSpan,
  rows: readonly TopicRow[],
  { textPointer, idPointer, absent }: LabeledTextOptions,
): LabeledTexts {
  const filled = partitions.filter(({ from, to }) => to > from)
  const origin: TopicSource = {
    kind: 'topic',
    topic,
    ...(topicId === undefined ? {} : { topicId }),
    reading: { textPointer, idPointer, absent },
    partitions: filled.map((range) => ({
      ...range,
      segments: segmentsOf(rows.filter(({ partition }) => partition === range.partition)),
    })),
  }
  const ranges = filled.map(({ partition, from, to }) => `${partition}:${from}-${to}`)
  return {
    source: ['topic', topic, ...ranges].join(' '),
    texts: rows.map(({ text }) => text),
    origin,
  }
}

interface Latest {
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
  /** undefined: a tombstone. */
  readonly text: LabeledText | undefined
}

/**
 * The rows by partition and offset: the latest message of each key wins, a tombstone removes its key, messages
 * without a key all count. A key is in one partition as long as the topic keeps their number; where it is in
 * several, the latest timestamp wins (of equal ones the highest partition).
 * Throws as `rowsOfTopic`.
 */
export async function latestRows(
  messages: AsyncIterable<SourceMessage>,
  options: LabeledTextOptions,
  schemas: WriterSchemas,
): Promise<TopicRow[]> {
  const byPartition = new Map<number, Map<string, Latest>>()
  for await (const message of messages) {
    const { partition, offset, timestampMs } = message
    const key = message.key === null ? `@${eventIdOf(message)}` : message.key.toString('base64')
    const text = await decode(message, options, schemas)
    const latest = byPartition.get(partition) ?? new Map<string, Latest>()
    latest.set(key, { partition, offset, timestampMs, text })
    byPartition.set(partition, latest)
  }
  const latestOfAll = new Map<string, Latest>()
  for (const [, latest] of [...byPartition].sort(([a], [b]) => a - b)) {
    for (const [key, found] of latest) {
      const before = latestOfAll.get(key)
      if (before === undefined || found.timestampMs >= before.timestampMs) latestOfAll.set(key, found)
    }
  }
  return [...latestOfAll.values()]
    .flatMap(({ partition, offset, text }) => (text === undefined ? [] : [{ partition, offset, text }]))
    .sort((a, b) => a.partition - b.partition || a.offset - b.offset)
}

/** Small enough to say where rows are missing, large enough that a million rows need a thousand digests. */
const segmentRows = 1_000

/** Digests of one partition's rows, in offset order. */
function segmentsOf(rows: readonly TopicRow[]): Segment[] {
  const count = Math.ceil(rows.length / segmentRows)
  return Array.from({ length: count }, (_, segment) => {
    const part = rows.slice(segment * segmentRows, (segment + 1) * segmentRows)
    return {
      from: part[0]?.offset ?? 0,
      to: (part.at(-1)?.offset ?? 0) + 1,
      rows: part.length,
      sha256: digestOfRows(part),
    }
  })
}

/** SHA-256 over the rows, one JSON line each. */
export const digestOfRows = (rows: readonly TopicRow[]): string =>
  sha256(
    rows
      .map(({ offset, text: { id, text, labels, absent } }) =>
        JSON.stringify([offset, id, text, [...labels], absent]),
      )
      .join('\n'),
  )

async function decode(
  message: SourceMessage,
  options: LabeledTextOptions,
  schemas: WriterSchemas,
): Promise<LabeledText | undefined> {
  try {
    return await decodeLabeledText(message, options, schemas)
  } catch (error) {
    const fault = asLabelstreamError(error)
    if (fault.disposition !== 'dead-letter') throw fault
    throw new LabelstreamError('DATA_INVALID', `${eventIdOf(message)}: ${fault.message}`, { cause: error })
  }
}
