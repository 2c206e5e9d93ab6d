import assert from 'node:assert/strict'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { waitUntil } from '../../src/core/clock.ts'
import type { SourceMessage } from '../../src/formats/message.ts'
import {
  beginningOffsets,
  checkTopics,
  committedOffsets,
  createTopics,
  deleteGroup,
  endOffsets,
  withAdmin,
} from '../../src/kafka/admin.ts'
import { readRange } from '../../src/kafka/read-range.ts'
import { freshName, freshTopic, testClient, testWriter } from '../support/broker.ts'
import { Listener, textMessage } from '../support/reader.ts'

async function collect(messages: AsyncIterable<SourceMessage>): Promise<SourceMessage[]> {
  const all: SourceMessage[] = []
  for await (const message of messages) all.push(message)
  return all
}

/** A fresh group that has committed this offset of partition 0. */
async function groupAt(topic: string, offset: number): Promise<string> {
  const group = freshName('group')
  const listener = await Listener.start(await testClient(), { group, topics: [topic] })
  await listener.until(() => listener.positions.size === 1, 'the position')
  assert.equal(await listener.reader.commit(listener.epoch, [{ topic, partition: 0, offset }]), 'committed')
  await listener.reader.close()
  return group
}

async function deleteBefore(topic: string, offset: string): Promise<void> {
  await withAdmin(await testClient(), async (admin) => {
    // kafkajs looks for the leader in metadata that it does not ask for
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset }] })
  })
}

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

test('a scan reads between offsets, ends at the end it saw, and ends at once on an empty topic', async () => {
  const client = await testClient()
  const topic = await freshTopic(client, 2)
  const writer = await testWriter(client, { compression: 'gzip' })
  await writer.send(
    topic,
    0,
    Array.from({ length: 500 }, (_, i) => textMessage(`a${i}`, `k${i}`)),
  )
  await writer.send(
    topic,
    1,
    Array.from({ length: 5 }, (_, i) => textMessage(`b${i}`)),
  )

  const seen: SourceMessage[] = []
  for await (const message of readRange(client, topic)) {
    // written after the scan began: not part of it
    if (seen.length === 0) await writer.send(topic, 1, [textMessage('late')])
    seen.push(message)
  }
  assert.equal(seen.length, 505)
  assert.equal(seen.filter(({ value }) => String(value) === 'late').length, 0)

  const part = await collect(
    readRange(client, topic, {
      from: new Map([[0, 490]]),
      to: new Map([
        [0, 495],
        [1, 2],
      ]),
    }),
  )
  assert.deepEqual(
    part.map(({ value }) => String(value)),
    ['a490', 'a491', 'a492', 'a493', 'a494', 'b0', 'b1'],
  )
  for await (const message of readRange(client, topic)) {
    assert.equal(message.offset, 0)
    break
  }
  assert.deepEqual(await collect(readRange(client, await freshTopic(client, 3))), [])
})

test('records deleted by retention are skipped, by a scan and by a reader that stood before them', async () => {
  const client = await testClient()
  const topic = await freshTopic(client)
  const writer = await testWriter(client)
  for (let i = 0; i < 10; i++) await writer.send(topic, 0, [textMessage(`${i}`)])
  const group = await groupAt(topic, 2)
  await deleteBefore(topic, '6')
  assert.deepEqual(await beginningOffsets(client, topic), new Map([[0, 6]]))
  assert.deepEqual(
    (await collect(readRange(client, topic))).map(({ value }) => String(value)),
    ['6', '7', '8', '9'],
  )
  const listener = await Listener.start(client, { group, topics: [topic] })
  await listener.until(() => listener.messages.length === 4, 'the four that are left')
  assert.deepEqual(listener.texts, ['6', '7', '8', '9'])

  // and while it reads: deleted under its feet
  listener.reader.pause()
  await writer.send(
    topic,
    0,
    ['10', '11', '12'].map((text) => textMessage(text)),
  )
  await deleteBefore(topic, '12')
  listener.reader.resume()
  await listener.until(() => listener.texts.at(-1) === '12', 'the last message')
  assert.equal(listener.failure, undefined)
  await listener.reader.close()
})

test('a record that is too large is refused with its own error, and the next one is written', async () => {
  const client = await testClient()
  const topic = await freshTopic(client, 1, { config: { 'max.message.bytes': '2000' } })
  const writer = await testWriter(client)
  await assert.rejects(writer.send(topic, 0, [textMessage('x'.repeat(5_000))]), (error) => {
    assert.ok(error instanceof Error && 'code' in error)
    assert.equal(error.code, 'RECORD_TOO_LARGE')
    assert.match(error.message, new RegExp(topic))
    return true
  })
  await writer.send(topic, 0, [textMessage('small')])
  assert.deepEqual(await endOffsets(client, topic), new Map([[0, 1]]))
})

test('sends of one moment share their fate with nobody', async () => {
  const client = await testClient()
  const small = await freshTopic(client, 3, { config: { 'max.message.bytes': '2000' } })
  const other = await freshTopic(client, 1)
  const writer = await testWriter(client)
  const results = await Promise.allSettled([
    writer.send(small, 0, [textMessage('a'), textMessage('b')]),
    writer.send(small, 1, [textMessage('x'.repeat(5_000))]),
    writer.send(small, 2, [textMessage('c')]),
    writer.send(freshName('missing'), 0, [textMessage('d')]),
    writer.send(other, 0, [textMessage('e')]),
    writer.send(other, 0, [textMessage('f')]),
  ])
  assert.deepEqual(
    results.map((result) =>
      result.status === 'fulfilled' ? 'written' : (result.reason as { code: string }).code,
    ),
    ['written', 'RECORD_TOO_LARGE', 'written', 'TOPIC_MISSING', 'written', 'written'],
  )
  // what a refused neighbour was sent with may have been written before it was sent again
  const values = async (topic: string, partition: number): Promise<string> => {
    const written = await collect(readRange(client, topic))
    return written
      .filter((message) => message.partition === partition)
      .map(({ value }) => String(value))
      .join('')
  }
  assert.match(await values(small, 0), /^(ab){1,2}$/)
  assert.equal(await values(small, 1), '')
  assert.match(await values(small, 2), /^c{1,2}$/)
  assert.match(await values(other, 0), /^e{1,2}f$/)
})

test('missing topics and partitions are named, with the command that creates them', async () => {
  const client = await testClient()
  const missing = freshName('missing')
  const named = { code: 'TOPIC_MISSING', message: new RegExp(`${missing}.*labelstream topics create`) }
  const writer = await testWriter(client)
  await assert.rejects(writer.send(missing, 0, [textMessage('x')]), named)
  await assert.rejects(writer.partitionCount(missing), named)
  await assert.rejects(Listener.start(client, { group: freshName('group'), topics: [missing] }), named)
  await assert.rejects(collect(readRange(client, missing)), named)
  const topic = await freshTopic(client, 2)
  await assert.rejects(writer.send(topic, 2, [textMessage('x')]), {
    code: 'TOPIC_MISSING',
    message: /2 partitions/,
  })
})

test('topics are created once, with their settings, and checked', async () => {
  const client = await testClient()
  const topic = freshName('topic')
  const missing = freshName('missing')
  const wanted = { topic, partitions: 2, config: { 'cleanup.policy': 'compact' } }
  assert.deepEqual(await createTopics(client, [wanted]), [topic])
  assert.deepEqual(await createTopics(client, [wanted]), [])
  assert.deepEqual(await checkTopics(client, [topic, missing]), [
    { topic, exists: true, partitions: 2, canRead: true, canWrite: true },
    { topic: missing, exists: false, partitions: 0, canRead: undefined, canWrite: undefined },
  ])
  assert.deepEqual(
    await endOffsets(client, topic),
    new Map([
      [0, 0],
      [1, 0],
    ]),
  )
  await assert.rejects(
    createTopics(client, [{ topic: freshName('topic'), partitions: 1, replicationFactor: 100 }]),
    {
      code: 'REQUEST_REFUSED',
    },
  )
  await deleteGroup(client, freshName('group'))
})

test('a compacted topic refuses a record without a key at once instead of for ever', async () => {
  const client = await testClient()
  const topic = await freshTopic(client, 1, { config: { 'cleanup.policy': 'compact' } })
  const writer = await testWriter(client)
  await assert.rejects(writer.send(topic, 0, [textMessage('no key')]), { code: 'REQUEST_REFUSED' })
})

test('compacted gaps, also at the end of a record batch, are passed by a scan and by a reader', async () => {
  const client = await testClient()
  const topic = await freshTopic(client, 1, {
    config: {
      'cleanup.policy': 'compact',
      'segment.ms': '100',
      'min.cleanable.dirty.ratio': '0.001',
      'max.compaction.lag.ms': '100',
    },
  })
  const writer = await testWriter(client)
  // "gone" ends both batches, so that after compaction a batch ends with a gap
  await writer.send(topic, 0, [textMessage('a', 'first'), textMessage('1', 'gone'), textMessage('2', 'gone')])
  await writer.send(topic, 0, [
    textMessage('b', 'second'),
    textMessage('3', 'gone'),
    textMessage('4', 'gone'),
  ])
  let filler = 0
  const left = async (): Promise<string[]> => {
    // a segment is compacted only when a newer one follows it, and segments roll when they are written to
    await writer.send(topic, 0, [textMessage('filler', 'gone')])
    filler += 1
    return (await collect(readRange(client, topic))).map(({ value }) => String(value))
  }
  await waitUntil(async () => (await left()).slice(0, 3).join() === 'a,b,filler', {
    timeoutMs: 40_000,
    everyMs: 500,
    onTimeout: () => new Error('the topic was not compacted'),
  })
  const end = 6 + filler
  assert.deepEqual(await endOffsets(client, topic), new Map([[0, end]]))
  for (const from of [0, 1, 2, 4]) {
    const group = await groupAt(topic, from)
    const listener = await Listener.start(client, { group, topics: [topic] })
    await listener.until(() => listener.positions.get(`${topic}/0`) === end, 'the end offset')
    const values = listener.texts.filter((text) => text !== 'filler')
    assert.deepEqual(values, from === 0 ? ['a', 'b'] : from < 4 ? ['b'] : [])
    await listener.reader.close()
    const scan = await collect(readRange(client, topic, { from: new Map([[0, from]]) }))
    assert.deepEqual(
      scan.map(({ value }) => String(value)).filter((text) => text !== 'filler'),
      values,
    )
  }
})
