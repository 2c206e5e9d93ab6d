import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endOffsets } from '../../src/kafka/admin.ts'
import { readRange } from '../../src/kafka/read-range.ts'
import { freshName, freshTopic, testClient, testWriter } from '../support/broker.ts'
import { collect } from '../support/collect.ts'
import { textMessage } from '../support/reader.ts'

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

test('a compacted topic refuses a record without a key at once instead of for ever', async () => {
  const client = await testClient()
  const topic = await freshTopic(client, 1, { config: { 'cleanup.policy': 'compact' } })
  const writer = await testWriter(client)
  await assert.rejects(writer.send(topic, 0, [textMessage('no key')]), { code: 'REQUEST_REFUSED' })
})
