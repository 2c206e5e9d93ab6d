import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkTopics, createTopics, deleteGroup, endOffsets } from '../../src/kafka/admin.ts'
import { readRange } from '../../src/kafka/read-range.ts'
import { freshName, freshTopic, testClient, testWriter } from '../support/broker.ts'
import { collect } from '../support/collect.ts'
import { Listener, textMessage } from '../support/reader.ts'

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
