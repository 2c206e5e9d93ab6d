import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endOffsets, offsetsSince } from '../../src/kafka/admin.ts'
import { readRange } from '../../src/kafka/read-range.ts'
import { settledExtent } from '../../src/kafka/settled-extent.ts'
import { isCompacted } from '../../src/kafka/topic-config.ts'
import { freshName, freshTopic, testClient, testWriter } from '../support/broker.ts'
import { collect } from '../support/collect.ts'
import { textMessage } from '../support/reader.ts'
import { throwsCode } from '../support/throws-code.ts'

test('a scan of single offsets brings these alone, wherever they lie in record batches and fetches', async () => {
  const client = await testClient()
  const topic = await freshTopic(client, 2)
  const writer = await testWriter(client)
  for (let batch = 0; batch < 5; batch++) {
    const messages = Array.from({ length: 100 }, (_, i) => textMessage(`${100 * batch + i} `.repeat(300)))
    await writer.send(topic, 0, messages)
    await writer.send(topic, 1, [textMessage(String(batch))])
  }
  const only = new Map([[0, [0, 1, 99, 100, 250, 499, 700]]])
  const found = await collect(readRange(client, topic, { only }))
  assert.deepEqual(
    found.map(({ partition, offset, value }) => `${partition}/${offset}/${parseInt(String(value))}`),
    [0, 1, 99, 100, 250, 499].map((offset) => `0/${offset}/${offset}`),
  )
  const cut = await collect(
    readRange(client, topic, { only, from: new Map([[0, 99]]), to: new Map([[0, 251]]) }),
  )
  assert.deepEqual(
    cut.map(({ offset }) => offset),
    [99, 100, 250],
  )
})

test('offsets by time are those of the first record that is as late, and the end where none is', async () => {
  const client = await testClient()
  const topic = await freshTopic(client, 2)
  const producer = client.open().producer({ allowAutoTopicCreation: false })
  await producer.connect()
  const messages = [1_000, 2_000, 3_000].map((time) => ({
    partition: 0,
    value: 'x',
    timestamp: String(time),
  }))
  await producer.send({ topic, messages })
  await producer.disconnect()
  const since = async (timeMs: number) => {
    const offsets = await offsetsSince(client, topic, timeMs)
    return [offsets.get(0), offsets.get(1)]
  }
  assert.deepEqual(await since(0), [0, 0])
  assert.deepEqual(await since(1_500), [1, 0])
  assert.deepEqual(await since(3_001), [3, 0])
})

test('the settled extent waits for a transaction that is open, and says when it stays so', async () => {
  const client = await testClient()
  const topic = await freshTopic(client)
  const producer = client
    .open()
    .producer({ allowAutoTopicCreation: false, transactionalId: freshName('open'), maxInFlightRequests: 1 })
  await producer.connect()
  const transaction = await producer.transaction()
  await transaction.send({ topic, messages: [{ partition: 0, value: 'later' }] })
  assert.deepEqual(await endOffsets(client, topic), new Map([[0, 0]]))
  await throwsCode(() => settledExtent(client, topic, 300), 'BROKER_ERROR', new RegExp(`open in ${topic}/0 `))

  const waiting = settledExtent(client, topic)
  await transaction.commit()
  const { from, to } = await waiting
  assert.deepEqual(from, new Map([[0, 0]]))
  assert.ok((to.get(0) ?? 0) >= 1)
  await producer.disconnect()
})

test('whether a topic is compacted is what its policy says', async () => {
  const client = await testClient()
  const compact = (policy: string) => freshTopic(client, 1, { config: { 'cleanup.policy': policy } })
  assert.equal(await isCompacted(client, await freshTopic(client)), false)
  assert.equal(await isCompacted(client, await compact('compact')), true)
  assert.equal(await isCompacted(client, await compact('compact,delete')), true)
})
