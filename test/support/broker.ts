import { randomBytes } from 'node:crypto'
import { after } from 'node:test'
import { createTopics } from '../../src/kafka/admin.ts'
import { connectKafka, type KafkaClient, type KafkaOptions } from '../../src/kafka/connect.ts'
import { Writer, type WriterOptions } from '../../src/kafka/writer.ts'
import { type LocalKafka, startLocalKafka } from '../../src/kafka/local-broker.ts'

let started: Promise<LocalKafka> | undefined

/**
 * The broker that this test file works with: the one KAFKA_BROKERS names, else a local one that is started
 * once per file and stopped after its tests. Rejects where none can be had: such tests fail, they do not hide.
 */
export function testBroker(): Promise<LocalKafka> {
  started ??= brokerFromEnvironment() ?? startLocalKafka()
  return started
}

const toClose: { close(): Promise<void> }[] = []

/** Closes it when the file's tests are done, also when one of them failed on the way. Closing twice must be harmless. */
export function closeAtEnd<T extends { close(): Promise<void> }>(thing: T): T {
  toClose.push(thing)
  return thing
}

// registered while the file loads, so that it belongs to the whole file
after(async () => {
  await Promise.allSettled(toClose.map((thing) => thing.close()))
  const kafka = await started?.catch(() => undefined)
  await kafka?.stop()
})

/** A client of the file's broker. */
export async function testClient(options: Partial<KafkaOptions> = {}): Promise<KafkaClient> {
  const kafka = await testBroker()
  return connectKafka({ brokers: kafka.brokers, clientId: 'labelstream-test', ...options })
}

/** A writer that is closed at the end of the file. */
export async function testWriter(client: KafkaClient, options: WriterOptions = {}): Promise<Writer> {
  return closeAtEnd(await Writer.connect(client, options))
}

/** Makes a topic with a name of its own and returns the name. */
export async function freshTopic(
  client: KafkaClient,
  partitions = 1,
  options: { readonly config?: Readonly<Record<string, string>>; readonly replicationFactor?: number } = {},
): Promise<string> {
  const topic = freshName('topic')
  await createTopics(client, [{ topic, partitions, ...options }])
  return topic
}

/** A name that no other test uses: for groups and topics. */
export function freshName(kind: string): string {
  return `${kind}-${randomBytes(5).toString('hex')}`
}

function brokerFromEnvironment(): Promise<LocalKafka> | undefined {
  const brokers = process.env['KAFKA_BROKERS']
    ?.split(',')
    .map((broker) => broker.trim())
    .filter((broker) => broker !== '')
  if (brokers === undefined || brokers.length === 0) return undefined
  return Promise.resolve({
    brokers,
    internalBrokers: brokers,
    credentials: undefined,
    nodes: [],
    ready: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  })
}
