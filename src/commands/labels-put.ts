import { labeledTextJson, labeledTextValue } from '../formats/labeled-text.ts'
import type { OutgoingMessage } from '../formats/message.ts'
import { partitionOfKey } from '../kafka/partitioner.ts'
import { Writer } from '../kafka/writer.ts'
import type { CommandSpec } from './command.ts'
import { kafkaClientOf } from './kafka-client.ts'
import { readLabeledData } from './labeled-data.ts'
import { onlyArgument } from './output.ts'
import { ProgressBar } from './progress.ts'
import { requireTopics } from './topics.ts'

const sendMessages = 500

export const labelsPut: CommandSpec = {
  name: 'labels put',
  summary: 'load labelled texts of a JSONL file into the labelled topic, keyed by their id',
  arguments: '<file>',
  settings: ['labels.', 'input.textPointer', 'input.idPointer', 'input.maxTextBytes', 'kafka.'],
  examples: ['labelstream labels put examples/advice/texts.jsonl'],
  run: async (context, positional) => {
    const file = onlyArgument(positional, 'the file')
    const { settings, log } = context
    const topic = settings['labels.topic']
    const { texts } = await readLabeledData(context, file)
    const client = kafkaClientOf(settings, log)
    await requireTopics(client, settings, ['labels.topic'])
    const writer = await Writer.connect(client)
    const bar = new ProgressBar(log)
    try {
      const byPartition = new Map<number, OutgoingMessage[]>()
      const partitions = await writer.partitionCount(topic)
      for (const text of texts) {
        const key = Buffer.from(text.id)
        const partition = partitionOfKey(key, partitions)
        const messages = byPartition.get(partition) ?? []
        byPartition.set(partition, messages)
        messages.push({ key, value: labeledTextJson(labeledTextValue(text)), headers: {} })
      }
      let done = 0
      for (const [partition, messages] of byPartition) {
        for (let start = 0; start < messages.length; start += sendMessages) {
          const chunk = messages.slice(start, start + sendMessages)
          await writer.send(topic, partition, chunk)
          done += chunk.length
          bar.update({ phase: 'write', done, total: texts.length })
        }
      }
    } finally {
      bar.close()
      await writer.close()
    }
    context.printJson({ topic, written: texts.length })
    context.print(`${texts.length} labelled texts written to ${topic}`)
  },
}
