import { LabelstreamError, asLabelstreamError } from '../core/errors.ts'
import type { WriterSchemas } from '../formats/avro-value.ts'
import { type LabeledText, type LabeledTextOptions, decodeLabeledText } from '../formats/labeled-text.ts'
import type { SourceMessage } from '../formats/message.ts'
import { eventIdOf } from '../formats/text-value.ts'
import type { LabeledTexts } from './dataset.ts'

interface Kept {
  readonly message: SourceMessage
  readonly text: LabeledText
}

/**
 * The labelled texts of a topic's messages: the latest message of each key wins, a tombstone removes its key,
 * messages without a key all count. Rows come by partition and offset, and the source names the offset ranges, so
 * that the same records give the same rows.
 * Throws DATA_INVALID naming topic, partition and offset of a message that is no labelled text.
 */
export async function rowsOfTopic(
  topic: string,
  messages: AsyncIterable<SourceMessage>,
  options: LabeledTextOptions,
  schemas: WriterSchemas,
): Promise<LabeledTexts> {
  const kept = new Map<string, Kept>()
  const ranges = new Map<number, { first: number; next: number }>()
  for await (const message of messages) {
    const range = ranges.get(message.partition)
    ranges.set(message.partition, { first: range?.first ?? message.offset, next: message.offset + 1 })
    const key = message.key === null ? `@${eventIdOf(message)}` : message.key.toString('base64')
    const text = await decode(message, options, schemas)
    // Deleted first, so that the new record takes its own place in the order.
    kept.delete(key)
    if (text !== undefined) kept.set(key, { message, text })
  }
  const rows = [...kept.values()].sort(
    (a, b) => a.message.partition - b.message.partition || a.message.offset - b.message.offset,
  )
  const spans = [...ranges]
    .sort(([a], [b]) => a - b)
    .map(([partition, { first, next }]) => `${partition}:${first}-${next}`)
  return { source: `topic ${topic} ${spans.join(' ')}`.trim(), texts: rows.map(({ text }) => text) }
}

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
