import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitUntil } from '../../src/core/clock.ts'
import type { SourceMessage } from '../../src/formats/message.ts'
import { beginningOffsets, endOffsets, withAdmin } from '../../src/kafka/admin.ts'
import { readRange } from '../../src/kafka/read-range.ts'
import { freshTopic, testClient, testWriter } from '../support/broker.ts'
import { collect } from '../support/collect.ts'
import { groupAt, Listener, textMessage } from '../support/reader.ts'

async function deleteBefore(topic: string, offset: string): Promise<void> {
  await withAdmin(await testClient(), async (admin) => {
    // kafkajs looks for the leader in metadata that it does not ask for
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset }] })
  })
}

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
