/**
 * Sends every line of standard input to the texts topic: plain text, or JSON like {"id":"1","text":"..."}.
 *
 *   npm run build:test
 *   KAFKA_BROKERS=localhost:9092 node build/examples/produce-texts.js < examples/texts.jsonl
 */
import { createInterface } from 'node:readline'
import { Kafka, logLevel, Partitioners, type Message } from 'kafkajs'

const kafka = new Kafka({
  clientId: 'produce-texts',
  brokers: (process.env['KAFKA_BROKERS'] ?? 'localhost:9092').split(','),
  logLevel: logLevel.ERROR,
})
const producer = kafka.producer({
  allowAutoTopicCreation: false,
  createPartitioner: Partitioners.DefaultPartitioner,
})

/** Texts with an id get it as their key: texts with the same id stay in order. */
function messageOf(line: string): Message {
  const id = line.startsWith('{') ? (JSON.parse(line) as { id?: string }).id : undefined
  return { key: id ?? null, value: line }
}

await producer.connect()
let sent = 0
let batch: Message[] = []
async function flush(): Promise<void> {
  if (batch.length === 0) return
  await producer.send({ topic: process.env['TOPIC'] ?? 'texts', messages: batch })
  sent += batch.length
  batch = []
}
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === '') continue
  batch.push(messageOf(line))
  if (batch.length === 500) await flush()
}
await flush()
await producer.disconnect()
console.log(`${String(sent)} texts sent`)
