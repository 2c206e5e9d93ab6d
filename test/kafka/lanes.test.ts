import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { waitUntil } from '../../src/core/clock.ts'
import { LabelstreamError } from '../../src/core/errors.ts'
import { committedOffsets } from '../../src/kafka/admin.ts'
import type { KafkaClient } from '../../src/kafka/connect.ts'
import { assignLanes, laneOf } from '../../src/kafka/lane-assigner.ts'
import { Lanes, type LanesOptions, whatBecame } from '../../src/kafka/lanes.ts'
import { readRange } from '../../src/kafka/read-range.ts'
import { freshName, freshTopic, testClient } from '../support/broker.ts'
import { collect } from '../support/collect.ts'
import { Listener, textMessage } from '../support/reader.ts'
import { throwsCode } from '../support/throws-code.ts'

test('lanes stay whole, every partition has one owner, and members differ by one lane at most', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 9 }),
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 1, max: 12 }),
      (members, partitions, lanes) => {
        const numbers = Array.from({ length: partitions }, (_none, partition) => partition)
        const topics = new Map([
          ['texts', numbers],
          ['more', numbers.slice(0, 5)],
        ])
        const assigned = assignLanes(members, topics, lanes)
        const owners = new Map<number, string>()
        for (const [member, assignment] of assigned) {
          for (const partition of Object.values(assignment).flat()) {
            const lane = laneOf(partition, lanes)
            assert.equal(owners.get(lane) ?? member, member, 'a lane has two owners')
            owners.set(lane, member)
          }
        }
        for (const [topic, all] of topics) {
          const given = [...assigned.values()].flatMap((assignment) => assignment[topic] ?? [])
          assert.deepEqual(
            given.sort((a, b) => a - b),
            all,
          )
        }
        const counts = members.map((member) => [...owners.values()].filter((one) => one === member).length)
        assert.ok(Math.max(...counts) - Math.min(...counts) <= 1)
      },
    ),
  )
})

test('what became of a transaction follows from what is committed after the fence', () => {
  const offsets = [
    { topic: 'texts', partition: 0, offset: 10 },
    { topic: 'texts', partition: 4, offset: 7 },
  ]
  const before = new Map<string, number | undefined>([['texts/0', 5]])
  const now = (zero: number | undefined, four: number | undefined) =>
    new Map([
      ['texts/0', zero],
      ['texts/4', four],
    ])
  assert.equal(whatBecame(before, now(10, 7), offsets), 'committed')
  assert.equal(whatBecame(before, now(5, undefined), offsets), 'nothing')
  assert.equal(whatBecame(before, now(6, undefined), offsets), 'stale')
  assert.equal(whatBecame(before, now(12, 9), offsets), 'stale')
})

describe('lanes on a broker', () => {
  interface Place {
    readonly client: KafkaClient
    readonly input: string
    readonly output: string
    readonly options: LanesOptions
    readonly results: string[]
  }

  async function place(config: Readonly<Record<string, string>> = {}): Promise<Place> {
    const client = await testClient()
    const input = await freshTopic(client, 4)
    const output = await freshTopic(client, 2, { config })
    const results: string[] = []
    const options: LanesOptions = {
      group: freshName('group'),
      inputTopics: [input],
      outputTopics: [output],
      lanes: 2,
      onTransaction: (result) => {
        results.push(result)
      },
    }
    return { client, input, output, options, results }
  }

  const all = ({ input }: Place) => [0, 1, 2, 3].map((partition) => ({ topic: input, partition }))

  /** As a reader does: again while the brokers are not ready. */
  async function acquire(lanes: Lanes, epoch: number, partitions: ReturnType<typeof all>): Promise<void> {
    const attempt = async (): Promise<boolean> => {
      try {
        await lanes.acquire(epoch, partitions)
        return true
      } catch (error) {
        if (error instanceof LabelstreamError && error.disposition === 'retry') return false
        throw error
      }
    }
    await waitUntil(attempt, { timeoutMs: 30_000, onTimeout: () => new Error('the lanes cannot be taken') })
  }

  async function texts({ client, output }: Place): Promise<string[]> {
    const found = await collect(readRange(client, output))
    return found.map(({ value }) => String(value)).sort()
  }

  test('records and offsets are committed together, and a new owner finds them', async () => {
    const here = await place()
    const lanes = await Lanes.connect(here.client, here.options)
    await acquire(lanes, 1, all(here))
    const batches = [
      { topic: here.output, partition: 0, messages: [textMessage('one'), textMessage('two')] },
      { topic: here.output, partition: 1, messages: [textMessage('three')] },
    ]
    const offsets = [0, 2].map((partition) => ({ topic: here.input, partition, offset: 0 }))
    assert.equal(await lanes.transact(1, 0, batches, offsets), 'committed')
    assert.equal(
      await lanes.transact(1, 1, [], [{ topic: here.input, partition: 1, offset: 0 }]),
      'committed',
    )
    await lanes.settle()
    assert.deepEqual(await texts(here), ['one', 'three', 'two'])
    const committed = await committedOffsets(here.client, here.options.group, here.input)
    assert.deepEqual([...committed.keys()].sort(), [0, 1, 2])
    assert.deepEqual(here.results, ['committed', 'committed'])
    await lanes.close()
  })

  test('whose lane was taken by another member is refused, and nothing of it is seen', async () => {
    const here = await place()
    const old = await Lanes.connect(here.client, here.options)
    const young = await Lanes.connect(here.client, here.options)
    const send = (text: string) => [{ topic: here.output, partition: 0, messages: [textMessage(text)] }]
    const offset = [{ topic: here.input, partition: 0, offset: 0 }]
    await acquire(old, 1, all(here))
    await acquire(young, 1, all(here))
    assert.equal(await old.transact(1, 0, send('from the old one'), offset), 'stale')
    assert.equal(await young.transact(1, 0, send('from the young one'), offset), 'committed')
    assert.equal(await old.transact(1, 0, send('again'), offset), 'stale', 'an epoch that lost is over')
    await young.settle()
    assert.deepEqual(await texts(here), ['from the young one'])
    assert.ok(here.results.includes('fenced'))
    await Promise.all([old.close(), young.close()])
  })

  test('an epoch that is over writes nothing', async () => {
    const here = await place()
    const lanes = await Lanes.connect(here.client, here.options)
    await acquire(lanes, 1, all(here))
    await acquire(lanes, 2, [{ topic: here.input, partition: 1 }])
    const offset = [{ topic: here.input, partition: 1, offset: 0 }]
    const send = [{ topic: here.output, partition: 0, messages: [textMessage('late')] }]
    assert.equal(await lanes.transact(1, 1, send, offset), 'stale')
    assert.equal(await lanes.transact(2, 0, send, offset), 'stale', 'a lane that it does not have')
    assert.equal(await lanes.transact(2, 1, [], offset), 'committed')
    assert.deepEqual(await texts(here), [])
    await lanes.close()
  })

  test('what a topic finds too large fails, leaves nothing and does not end the lane', async () => {
    const here = await place({ 'max.message.bytes': '2000' })
    const lanes = await Lanes.connect(here.client, here.options)
    await acquire(lanes, 1, all(here))
    const offset = [{ topic: here.input, partition: 0, offset: 0 }]
    const send = (text: string) => [{ topic: here.output, partition: 0, messages: [textMessage(text)] }]
    await assert.rejects(lanes.transact(1, 0, send('x'.repeat(3_000)), offset), { code: 'RECORD_TOO_LARGE' })
    assert.equal(await lanes.transact(1, 0, send('small'), offset), 'committed')
    await lanes.settle()
    assert.deepEqual(await texts(here), ['small'])
    await lanes.close()
  })

  test('another number of lanes is refused, at the start and beside running members', async () => {
    const here = await place()
    const lanes = await Lanes.connect(here.client, here.options)
    await acquire(lanes, 1, all(here))
    await lanes.transact(1, 1, [], [{ topic: here.input, partition: 3, offset: 0 }])
    await lanes.settle()
    await throwsCode(
      () => Lanes.connect(here.client, { ...here.options, lanes: 3 }),
      'SETTING_INVALID',
      /with 2/,
    )

    const member = (lanesOfIt: number) =>
      Listener.start(here.client, { group: otherGroup, topics: [here.input], lanes: lanesOfIt })
    const otherGroup = freshName('group')
    const first = await member(2)
    await first.until(() => first.epoch > 0, 'the first member has partitions')
    const second = await member(3)
    await assert.rejects(
      second.until(() => second.epoch > 0, 'the second member is refused'),
      { code: 'REQUEST_REFUSED' },
    )
    await Promise.all([first.reader.close(), second.reader.close()])
    await lanes.close()
  })
})
