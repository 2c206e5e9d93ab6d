import { writerSchemas } from '../formats/avro-value.ts'
import type { LabeledTextOptions } from '../formats/labeled-text.ts'
import { topicExtent } from '../kafka/admin.ts'
import { readRange } from '../kafka/read-range.ts'
import type { LabeledTexts } from '../train/dataset.ts'
import { readJsonLines } from '../train/json-lines.ts'
import { rowsOfTopic } from '../train/topic-rows.ts'
import type { CommandContext } from './command.ts'
import { kafkaClientOf } from './kafka-client.ts'
import { registryOf } from './registry-client.ts'

/** What `--data` and `--dev` take. */
export const dataOptionHelp = 'labelled texts: a JSONL file, or topic:NAME'

const topicPrefix = 'topic:'

/** The topic's name, where the source is a topic. */
export const topicOf = (source: string): string | undefined =>
  source.startsWith(topicPrefix) ? source.slice(topicPrefix.length) : undefined

/** How the settings say that labelled texts are read. */
export const readingOptions = ({ settings }: CommandContext): LabeledTextOptions => ({
  textPointer: settings['input.textPointer'],
  idPointer: settings['input.idPointer'],
  maxTextBytes: settings['input.maxTextBytes'],
  maxMessageBytes: settings['input.maxMessageBytes'],
  absent: settings['labels.absent'],
})

/** Labelled texts of `FILE.jsonl` or `topic:NAME`, read as the settings say. Throws what the source throws. */
export async function readLabeledData(context: CommandContext, source: string): Promise<LabeledTexts> {
  const options = readingOptions(context)
  const topic = topicOf(source)
  if (topic === undefined) return readJsonLines(source, options)
  const client = kafkaClientOf(context.settings, context.log)
  const extent = await topicExtent(client, topic)
  const messages = readRange(client, topic, { to: offsetsOf(extent.partitions, 'to') })
  return rowsOfTopic({ topic, ...extent }, messages, options, writerSchemas(registryOf(context.settings)))
}

/** One end of each partition's range. */
export const offsetsOf = (
  ranges: readonly { readonly partition: number; readonly from: number; readonly to: number }[],
  end: 'from' | 'to',
): ReadonlyMap<number, number> => new Map(ranges.map((range) => [range.partition, range[end]]))
