import { writerSchemas } from '../formats/avro-value.ts'
import { readRange } from '../kafka/read-range.ts'
import type { LabeledTexts } from '../train/dataset.ts'
import { readJsonLines } from '../train/json-lines.ts'
import { rowsOfTopic } from '../train/topic-rows.ts'
import type { CommandContext } from './command.ts'
import { kafkaClientOf } from './kafka-client.ts'
import { registryOf } from './registry-client.ts'

/** What `--data` and `--dev` take. */
export const dataOptionHelp = 'labelled texts: a JSONL file, or topic:NAME'

/** Labelled texts of `FILE.jsonl` or `topic:NAME`, read as the settings say. Throws what the source throws. */
export async function readLabeledData(context: CommandContext, source: string): Promise<LabeledTexts> {
  const { settings } = context
  const options = {
    textPointer: settings['input.textPointer'],
    idPointer: settings['input.idPointer'],
    maxTextBytes: settings['input.maxTextBytes'],
    maxMessageBytes: settings['input.maxMessageBytes'],
    absent: settings['labels.absent'],
  }
  if (!source.startsWith('topic:')) return readJsonLines(source, options)
  const topic = source.slice('topic:'.length)
  const client = kafkaClientOf(settings, context.log)
  return rowsOfTopic(topic, readRange(client, topic), options, writerSchemas(registryOf(settings)))
}
