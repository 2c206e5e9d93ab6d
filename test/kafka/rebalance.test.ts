import assert from 'node:assert/strict'
import { test } from 'node:test'
import { committedOffsets } from '../../src/kafka/admin.ts'
import { withCluster } from '../../src/kafka/cluster.ts'
import type { KafkaClient } from '../../src/kafka/connect.ts'
import { freshName, freshTopic, testClient, testWriter } from '../support/broker.ts'
import { Listener, textMessage } from '../support/reader.ts'

/** What a broker does to members that were silent for longer than their session lasts. */
async function forgetMembers(client: KafkaClient, group: string): Promise<void> {
  interface GroupBroker {
    describeGroups(request: { groupIds: string[] }): Promise<{
      groups: { members: { memberId: string }[] }[]
    }>
    leaveGroup(request: { groupId: string; memberId: string }): Promise<void>
  }
  await withCluster(client, [], 'forgetting members', async (cluster) => {
    const coordinator = (await cluster.findGroupCoordinator({ groupId: group })) as unknown as GroupBroker
    const { groups } = await coordinator.describeGroups({ groupIds: [group] })
    for (const { memberId } of groups.flatMap(({ members }) => members)) {
      await coordinator.leaveGroup({ groupId: group, memberId })
    }
  })
}

test('a second member takes partitions over: epochs rise, and the old epoch can commit no more', async () => {
  const client = await testClient()
  const topic = await freshTopic(client, 4)
  const writer = await testWriter(client)
  for (let i = 0; i < 40; i++) await writer.send(topic, i % 4, [textMessage(`${i}`)])
  const group = freshName('group')
  const options = { group, topics: [topic], sessionTimeoutMs: 6_000 }

  const first = await Listener.start(client, options)
  await first.until(() => first.messages.length === 40, 'all messages')
  assert.deepEqual(first.events, ['assigned 1'])
  const oldEpoch = first.epoch
  const oldOffsets = first.reached
  assert.equal(await first.reader.commit(oldEpoch, [{ topic, partition: 0, offset: 4 }]), 'committed')

  const second = await Listener.start(client, options)
  await second.until(() => second.positions.size === 2, 'two partitions for the second member')
  await first.until(() => first.epoch > oldEpoch && first.positions.size === 2, 'two partitions left')
  assert.equal(first.events.slice(0, 3).join(), `assigned 1,revoked 1,assigned ${first.epoch}`)
  assert.equal(await first.reader.commit(oldEpoch, oldOffsets), 'stale')
  assert.deepEqual(await committedOffsets(client, group, topic), new Map([[0, 4]]))
  // what the other one owns is not committed in the new epoch either
  const foreign = second.reached.map(({ partition }) => ({ topic, partition, offset: 10 }))
  assert.equal(await first.reader.commit(first.epoch, foreign), 'stale')

  // both read on from what was committed, each only its own partitions
  const readAgain = (listener: Listener): number[] =>
    [...listener.positions].map(([key, offset]) => (key.endsWith('/0') ? offset - 4 : offset))
  await first.until(
    () => readAgain(first).length === 2 && [...first.positions.values()].every((o) => o === 10),
    'its end',
  )
  await second.until(() => [...second.positions.values()].every((offset) => offset === 10), 'its end')
  const keys = [...first.positions.keys(), ...second.positions.keys()].sort()
  assert.deepEqual(
    keys,
    [0, 1, 2, 3].map((partition) => `${topic}/${partition}`),
  )

  assert.equal(await first.reader.commit(first.epoch, first.reached), 'committed')
  assert.equal(await second.reader.commit(second.epoch, second.reached), 'committed')
  const epoch = first.epoch
  await second.reader.close()
  await first.until(() => first.epoch > epoch && first.positions.size === 4, 'all partitions back')
  assert.deepEqual([...first.positions.values()], [10, 10, 10, 10])
  await first.reader.close()
})

test('a commit made while the epoch is being revoked still counts', async () => {
  const client = await testClient()
  const topic = await freshTopic(client, 2)
  const writer = await testWriter(client)
  for (const partition of [0, 1]) await writer.send(topic, partition, [textMessage('a'), textMessage('b')])
  const group = freshName('group')
  const options = { group, topics: [topic], sessionTimeoutMs: 6_000 }
  const first = await Listener.start(client, options)
  const results: Promise<string>[] = []
  first.onRevoked = (epoch) => results.push(first.reader.commit(epoch, first.reached))
  await first.until(() => first.messages.length === 4, 'all messages')
  const second = await Listener.start(client, options)
  await second.until(() => second.positions.size === 1, 'a partition for the second member')
  assert.deepEqual(await Promise.all(results.slice(0, 1)), ['committed'])
  assert.deepEqual([...second.positions.values()], [2])
  assert.equal(second.messages.length, 0)
  await first.reader.close()
  await second.reader.close()
})

test('a member that its group had forgotten commits nothing for its former partitions when it is back', async () => {
  const client = await testClient()
  const topic = await freshTopic(client)
  const writer = await testWriter(client)
  await writer.send(topic, 0, [textMessage('a'), textMessage('b')])
  const group = freshName('group')
  const listener = await Listener.start(client, { group, topics: [topic], sessionTimeoutMs: 6_000 })
  const commits: Promise<string>[] = []
  listener.onRevoked = (epoch) => commits.push(listener.reader.commit(epoch, listener.reached))
  await listener.until(() => listener.messages.length === 2, 'all messages')
  await forgetMembers(client, group)
  await listener.until(() => listener.epoch === 2, 'another epoch')
  assert.deepEqual(await Promise.all(commits), ['stale'])
  assert.deepEqual(await committedOffsets(client, group, topic), new Map())
  await listener.until(() => listener.messages.length === 4, 'both again')
  await listener.reader.close()
})

test('a handler that throws ends the reading and is told, instead of being tried again', async () => {
  const client = await testClient()
  const topic = await freshTopic(client)
  const writer = await testWriter(client)
  await writer.send(topic, 0, [textMessage('a')])
  const listener = await Listener.start(client, { group: freshName('group'), topics: [topic] })
  listener.onRecords = (messages) => {
    if (messages.length > 0) throw new Error('a fault of ours')
  }
  await assert.rejects(
    listener.until(() => false, 'the failure'),
    { code: 'INTERNAL', message: 'a fault of ours' },
  )
  await listener.reader.close()
})
