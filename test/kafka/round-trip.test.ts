import assert from 'node:assert/strict'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { waitUntil } from '../../src/core/clock.ts'
import { committedOffsets, endOffsets } from '../../src/kafka/admin.ts'
import { readRange } from '../../src/kafka/read-range.ts'
import { freshName, freshTopic, testClient, testWriter } from '../support/broker.ts'
import { collect } from '../support/collect.ts'
import { groupAt, Listener, textMessage } from '../support/reader.ts'

test('what is written is read: keys, values, headers, null values, in the order of the sends', async () => {
  const client = await testClient()
  const topic = await freshTopic(client, 3)
  const writer = await testWriter(client)
  assert.equal(await writer.partitionCount(topic), 3)
  await writer.send(topic, 1, [
    { key: Buffer.from('k'), value: Buffer.from('v'), headers: { one: 'a', two: ['b', Buffer.from('c')] } },
    { key: null, value: null, headers: {} },
  ])
  // not awaited one by one: the writer keeps the order of a partition by itself
  await Promise.all(Array.from({ length: 40 }, (_, i) => writer.send(topic, i % 3, [textMessage(`n${i}`)])))

  const listener = await Listener.start(client, { group: freshName('group'), topics: [topic] })
  await listener.until(() => listener.messages.length === 42, 'all messages')
  await listener.reader.close()

  const [first, second] = listener.messages.filter(({ partition }) => partition === 1)
  assert.equal(String(first?.key), 'k')
  assert.equal(String(first?.value), 'v')
  assert.deepEqual(first?.headers, { one: Buffer.from('a'), two: [Buffer.from('b'), Buffer.from('c')] })
  assert.equal(second?.key, null)
  assert.equal(second?.value, null)
  for (const partition of [0, 1, 2]) {
    const own = listener.messages.filter((message) => message.partition === partition)
    assert.deepEqual(
      own.map(({ offset }) => offset),
      own.map((_message, index) => index),
    )
    const numbers = own.map(({ value }) => String(value)).filter((text) => text.startsWith('n'))
    assert.deepEqual(
      numbers,
      [...numbers].sort((a, b) => Number(a.slice(1)) - Number(b.slice(1))),
    )
  }
})

test('the first thing told of a partition is where reading begins, also when there is nothing to read', async () => {
  const client = await testClient()
  const topic = await freshTopic(client, 2)
  const listener = await Listener.start(client, { group: freshName('group'), topics: [topic] })
  await listener.until(() => listener.positions.size === 2, 'both positions')
  assert.deepEqual([...listener.positions.values()], [0, 0])
  await listener.reader.close()
})

test('a group goes on where it committed, and a new one begins where it was told to', async () => {
  const client = await testClient()
  const topic = await freshTopic(client)
  const writer = await testWriter(client)
  await writer.send(
    topic,
    0,
    ['a', 'b', 'c'].map((text) => textMessage(text)),
  )

  const group = freshName('group')
  const first = await Listener.start(client, { group, topics: [topic] })
  await first.until(() => first.messages.length === 3, 'three messages')
  assert.equal(await first.reader.commit(first.epoch, [{ topic, partition: 0, offset: 2 }]), 'committed')
  await first.reader.close()
  assert.deepEqual(await committedOffsets(client, group, topic), new Map([[0, 2]]))

  const second = await Listener.start(client, { group, topics: [topic] })
  await second.until(() => second.messages.length === 1, 'the third message')
  assert.deepEqual(second.texts, ['c'])
  await second.reader.close()

  const late = await Listener.start(client, {
    group: freshName('group'),
    topics: [topic],
    fromBeginning: false,
  })
  await late.until(() => late.positions.size === 1, 'the position')
  assert.deepEqual([...late.positions.values()], [3])
  await writer.send(topic, 0, [textMessage('d')])
  await late.until(() => late.messages.length === 1, 'the new message')
  assert.deepEqual(late.texts, ['d'])
  await late.reader.close()
})

test('while paused nothing comes beyond what was under way, and after resume nothing is missing', async () => {
  const client = await testClient()
  const topic = await freshTopic(client)
  const writer = await testWriter(client)
  const send = (from: number, count: number): Promise<void> =>
    writer.send(
      topic,
      0,
      Array.from({ length: count }, (_, i) => textMessage(`${from + i} ${'x'.repeat(1_000)}`)),
    )
  for (let from = 0; from < 2_000; from += 100) await send(from, 100)

  const listener = await Listener.start(client, {
    group: freshName('group'),
    topics: [topic],
    maxBytes: 100_000,
    maxBytesPerPartition: 100_000,
    sessionTimeoutMs: 6_000,
  })
  listener.onRecords = (messages) => {
    if (messages.length > 0 && listener.messages.length === messages.length) listener.reader.pause()
  }
  await listener.until(() => listener.messages.length > 0, 'the first batch')
  const atPause = listener.messages.length
  assert.ok(atPause < 400, `${atPause} messages of 1 kB came with answers of 100 kB`)
  // a paused reader keeps its membership: a commit still counts after more than a session timeout
  const startMs = Date.now()
  await waitUntil(() => Date.now() - startMs > 7_000, {
    timeoutMs: 20_000,
    onTimeout: () => new Error('time stands still'),
  })
  assert.equal(listener.messages.length, atPause)
  assert.equal(
    await listener.reader.commit(listener.epoch, [{ topic, partition: 0, offset: atPause }]),
    'committed',
  )
  assert.deepEqual(listener.events, ['assigned 1'])

  listener.reader.resume()
  await listener.until(() => listener.messages.length === 2_000, 'the rest')
  assert.deepEqual(
    listener.messages.map(({ offset }) => offset),
    Array.from({ length: 2_000 }, (_, i) => i),
  )
  await listener.reader.close()
})

test('transactions: aborted records stay hidden, and the position passes the markers at the end', async () => {
  const client = await testClient()
  const topic = await freshTopic(client)
  const producers = ['one', 'two', 'three'].map((name) =>
    client.open().producer({
      transactionalId: freshName(name),
      maxInFlightRequests: 1,
      idempotent: true,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    }),
  )
  const transactions = []
  for (const producer of producers) {
    await producer.connect()
    transactions.push(await producer.transaction())
  }
  const [one, two, three] = transactions
  assert.ok(one !== undefined && two !== undefined && three !== undefined)
  const send = (transaction: typeof one, value: string) =>
    transaction.send({ topic, messages: [{ value, partition: 0 }] })
  await send(one, 'aborted 1')
  await send(two, 'aborted 2')
  await send(three, 'committed 1')
  await send(two, 'aborted 3')
  await send(one, 'aborted 4')
  await two.abort()
  await send(three, 'committed 2')
  await one.abort()
  await three.commit()
  const last = await producers[0]?.transaction()
  assert.ok(last !== undefined)
  await send(last, 'aborted 5')
  await last.abort()
  await Promise.all(producers.map((producer) => producer.disconnect()))

  await waitUntil(async () => (await endOffsets(client, topic)).get(0) === 11, {
    timeoutMs: 10_000,
    onTimeout: () => new Error('the transactions did not end'),
  })
  const listener = await Listener.start(client, { group: freshName('group'), topics: [topic] })
  await listener.until(() => listener.positions.get(`${topic}/0`) === 11, 'the end offset')
  assert.deepEqual(listener.texts, ['committed 1', 'committed 2'])
  assert.equal(await listener.reader.commit(listener.epoch, listener.reached), 'committed')
  await listener.reader.close()

  // a reader that begins in the middle of two aborted transactions must not see them either
  for (const offset of [1, 3, 4]) {
    const group = await groupAt(topic, offset)
    const middle = await Listener.start(client, { group, topics: [topic] })
    await middle.until(() => middle.positions.get(`${topic}/0`) === 11, 'the end offset')
    assert.deepEqual(middle.texts, ['committed 1', 'committed 2'].slice(offset > 2 ? 1 : 0))
    await middle.reader.close()
  }
  const range = await collect(readRange(client, topic))
  assert.deepEqual(
    range.map(({ value }) => String(value)),
    ['committed 1', 'committed 2'],
  )
})

test('a group with nothing but control records before it can commit its position', async () => {
  const client = await testClient()
  const topic = await freshTopic(client)
  const producer = client.open().producer({
    transactionalId: freshName('only'),
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  })
  await producer.connect()
  const transaction = await producer.transaction()
  await transaction.send({ topic, messages: [{ value: 'never seen', partition: 0 }] })
  await transaction.abort()
  await producer.disconnect()
  const group = freshName('group')
  const listener = await Listener.start(client, { group, topics: [topic] })
  await listener.until(() => listener.positions.get(`${topic}/0`) === 2, 'the end offset')
  assert.equal(await listener.reader.commit(listener.epoch, listener.reached), 'committed')
  await listener.reader.close()
  assert.deepEqual(await committedOffsets(client, group, topic), new Map([[0, 2]]))
})
