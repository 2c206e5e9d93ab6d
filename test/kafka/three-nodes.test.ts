import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createTopics } from '../../src/kafka/admin.ts'
import { connectKafka } from '../../src/kafka/connect.ts'
import { type LocalKafka, startLocalKafka } from '../../src/kafka/local-broker.ts'
import { Writer } from '../../src/kafka/writer.ts'
import { closeAtEnd, freshName } from '../support/broker.ts'
import { Listener, textMessage } from '../support/reader.ts'

let kafka: LocalKafka

before(async () => {
  kafka = await startLocalKafka({ nodes: 3 })
})

after(() => kafka.stop())

test('one of three brokers is killed: what is acknowledged is read, and the writing goes on', async () => {
  const client = connectKafka({ brokers: kafka.brokers, clientId: 'test' })
  const topic = freshName('topic')
  await createTopics(client, [{ topic, partitions: 6 }])
  const writer = closeAtEnd(await Writer.connect(client))
  const listener = await Listener.start(client, {
    group: freshName('group'),
    topics: [topic],
    sessionTimeoutMs: 10_000,
  })
  let acknowledged = 0
  const send = async (from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i += 6) {
      await Promise.all([0, 1, 2, 3, 4, 5].map((p) => writer.send(topic, p, [textMessage(`${i + p}`)])))
      acknowledged = i + 6
    }
  }
  await send(0, 300)
  await listener.until(() => new Set(listener.texts).size === 300, 'the first part')
  const rest = send(300, 900)
  await listener.until(() => acknowledged > 360, 'sends under way')
  await kafka.nodes[1]?.kill('SIGKILL')
  await rest
  await listener.until(() => new Set(listener.texts).size === 900, 'every acknowledged message', 60_000)
  await listener.until(() => listener.positions.size === 6, 'all partitions')
  assert.equal(listener.failure, undefined)
  await kafka.nodes[1]?.start()
  await kafka.ready(3)
  await listener.reader.close()
})
