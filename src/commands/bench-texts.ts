import { readFileSync } from 'node:fs'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import type { OutgoingMessage } from '../formats/message.ts'
import { createTopics } from '../kafka/admin.ts'
import { Writer } from '../kafka/writer.ts'
import type { Settings } from '../settings/catalogue.ts'
import type { CommandContext } from './command.ts'
import { kafkaClientOf } from './kafka-client.ts'

export const benchPartitions = 4

/** Topics of its own, so that nothing else is in them. */
export function benchTopics(part: string) {
  const run = `${part}-${Date.now().toString(36)}`
  return {
    'input.topic': `labelstream-bench-texts-${run}`,
    'output.topic': `labelstream-bench-scores-${run}`,
    'deadLetters.topic': `labelstream-bench-dead-letters-${run}`,
    group: `labelstream-bench-${run}`,
  }
}

/** The texts of a JSONL file, in a circle until there are `count`. Throws FILE_UNREADABLE, DATA_INVALID. */
export function benchTexts(file: string, count: number): string[] {
  let lines: string[]
  try {
    lines = readFileSync(file, 'utf8').trim().split('\n')
  } catch (error) {
    throw new LabelstreamError('FILE_UNREADABLE', `${file} cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const texts = lines.map((line, index) => {
    const { text } = parse(line, file, index + 1)
    if (typeof text === 'string' && text.trim() !== '') return text
    throw new LabelstreamError('DATA_INVALID', `${file} line ${index + 1}: has no string at "text"`)
  })
  return Array.from({ length: count }, (_none, index) => texts[index % texts.length] ?? '')
}

function parse(line: string, file: string, number: number): { text?: unknown } {
  try {
    return JSON.parse(line) as { text?: unknown }
  } catch {
    throw new LabelstreamError('DATA_INVALID', `${file} line ${number}: not valid JSON`)
  }
}

/** Text `index` goes to partition `index % benchPartitions`: its offset there is the quotient. */
export const benchMessage = (text: string, index: number): OutgoingMessage => ({
  key: null,
  value: Buffer.from(JSON.stringify({ id: String(index), text })),
  headers: {},
})

/** Creates the topics of `settings`. */
export async function createBenchTopics(context: CommandContext, settings: Settings): Promise<void> {
  const topics = [settings['input.topic'], settings['output.topic'], settings['deadLetters.topic']]
  await createTopics(
    kafkaClientOf(settings, context.log),
    topics.map((topic) => ({ topic, partitions: benchPartitions })),
  )
}

/** Creates the topics and writes all texts. */
export async function loadTexts(
  context: CommandContext,
  settings: Settings,
  texts: readonly string[],
): Promise<void> {
  await createBenchTopics(context, settings)
  const writer = await Writer.connect(kafkaClientOf(settings, context.log))
  try {
    for (let start = 0; start < texts.length; start += 1_000) {
      const chunk = texts.slice(start, start + 1_000)
      for (let partition = 0; partition < benchPartitions; partition++) {
        const messages = chunk.flatMap((text, index) =>
          (start + index) % benchPartitions === partition ? [benchMessage(text, start + index)] : [],
        )
        await writer.send(settings['input.topic'], partition, messages)
      }
    }
  } finally {
    await writer.close()
  }
}
