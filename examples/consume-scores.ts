/**
 * Prints the scores topic, one line a text: its id, the decided labels, and the score of each.
 * It needs kafkajs, avsc and the file schemas/LabelScores.avsc, nothing else of labelstream:
 *
 *   npm run build:test
 *   KAFKA_BROKERS=localhost:9092 node build/examples/consume-scores.js
 *
 * Where labelstream writes with a schema registry, say which: REGISTRY_URL=http://localhost:8081
 */
import { readFileSync } from 'node:fs'
import avro from 'avsc'
import { Kafka, logLevel } from 'kafkajs'

interface LabelScores {
  readonly eventId: string
  readonly id: string
  readonly scores: Record<string, number>
  readonly labels: string[]
}

/** 0xC3 0x01 and the fingerprint of schemas/LabelScores.avsc: how a value starts without a registry. */
const singleObjectHeader = Buffer.from('c301e149d68cfd7693b6', 'hex')
const scoresType = avro.Type.forSchema(
  JSON.parse(readFileSync('schemas/LabelScores.avsc', 'utf8')) as avro.Schema,
)
/** How to read values of each schema in the registry, by its id. */
const resolvers = new Map<number, avro.Resolver>()

async function decode(value: Buffer): Promise<LabelScores> {
  if (value.subarray(0, 10).equals(singleObjectHeader)) {
    return scoresType.fromBuffer(value.subarray(10)) as LabelScores
  }
  if (value[0] !== 0) throw new Error('this value is neither in single-object encoding nor of a registry')
  const id = value.readInt32BE(1)
  const resolver = resolvers.get(id) ?? (await fetchResolver(id))
  resolvers.set(id, resolver)
  return scoresType.fromBuffer(value.subarray(5), resolver) as LabelScores
}

async function fetchResolver(id: number): Promise<avro.Resolver> {
  const response = await fetch(`${process.env['REGISTRY_URL'] ?? ''}/schemas/ids/${String(id)}`)
  if (!response.ok)
    throw new Error(`the registry answered ${String(response.status)} for schema ${String(id)}`)
  const { schema } = (await response.json()) as { schema: string }
  return scoresType.createResolver(avro.Type.forSchema(JSON.parse(schema) as avro.Schema))
}

const kafka = new Kafka({
  clientId: 'consume-scores',
  brokers: (process.env['KAFKA_BROKERS'] ?? 'localhost:9092').split(','),
  logLevel: logLevel.ERROR,
})
const consumer = kafka.consumer({
  groupId: process.env['GROUP'] ?? 'consume-scores-example',
  allowAutoTopicCreation: false,
})
await consumer.connect()
await consumer.subscribe({ topics: [process.env['TOPIC'] ?? 'scores'], fromBeginning: true })
await consumer.run({
  eachMessage: async ({ message }) => {
    if (message.value === null) return
    const event = await decode(message.value)
    const scores = Object.entries(event.scores)
      .sort(([, a], [, b]) => b - a)
      .map(([label, score]) => `${label} ${score.toFixed(2)}`)
    console.log(`${event.id}\t${event.labels.join(', ') || '-'}\t(${scores.join(', ')})`)
  },
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void consumer.disconnect())
