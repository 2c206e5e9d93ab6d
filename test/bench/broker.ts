import { wallClockMs } from '../../src/core/clock.ts'
import { connectKafka, type KafkaClient } from '../../src/kafka/connect.ts'
import { startLocalKafka } from '../../src/kafka/local-broker.ts'
import { createTopics } from '../../src/kafka/admin.ts'
import { Writer } from '../../src/kafka/writer.ts'
import type { OutgoingMessage } from '../../src/formats/message.ts'
import { say } from './program.ts'

export interface BenchBroker {
  readonly brokers: readonly string[]
  readonly client: KafkaClient
  stop(): Promise<void>
}

/** The broker that KAFKA_BROKERS names, else one of our own on this machine. */
export async function benchBroker(): Promise<BenchBroker> {
  const named = process.env['KAFKA_BROKERS']
  const local =
    named === undefined || named === ''
      ? await startLocalKafka({ onProgress: (line) => say(line) })
      : undefined
  const brokers = local?.brokers ?? named?.split(',') ?? []
  return {
    brokers,
    client: connectKafka({ brokers, clientId: 'labelstream-bench' }),
    stop: () => local?.stop() ?? Promise.resolve(),
  }
}

/** Topics and a group that nobody else has. */
export interface BenchTopics {
  readonly input: string
  readonly scores: string
  readonly deadLetters: string
  readonly group: string
}

let made = 0

export async function makeTopics(client: KafkaClient, partitions: number): Promise<BenchTopics> {
  const run = `${process.pid.toString(36)}-${Date.now().toString(36)}-${made++}`
  const topics = {
    input: `bench-texts-${run}`,
    scores: `bench-scores-${run}`,
    deadLetters: `bench-dead-letters-${run}`,
  }
  await createTopics(
    client,
    Object.values(topics).map((topic) => ({ topic, partitions })),
  )
  return { ...topics, group: `bench-${run}` }
}

const chunkMessages = 2_000

/** Writes the messages to the partitions of a topic in turn; resolves to the wall-clock time of the first one. */
export async function loadTopic(
  client: KafkaClient,
  { topic, partitions }: { readonly topic: string; readonly partitions: number },
  messages: readonly OutgoingMessage[],
): Promise<number> {
  const writer = await Writer.connect(client)
  const startedMs = wallClockMs()
  try {
    for (let start = 0; start < messages.length; start += chunkMessages) {
      const chunk = messages.slice(start, start + chunkMessages)
      await Promise.all(
        Array.from({ length: partitions }, (_none, partition) =>
          writer.send(
            topic,
            partition,
            chunk.filter((_message, index) => (start + index) % partitions === partition),
          ),
        ),
      )
    }
    return startedMs
  } finally {
    await writer.close()
  }
}
