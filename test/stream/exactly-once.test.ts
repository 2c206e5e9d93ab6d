import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import type { Position } from '../../src/formats/message.ts'
import { ExactlyOnce, type TransactionLimits } from '../../src/stream/exactly-once.ts'
import { type OutgoingBatch, OutputPlan } from '../../src/stream/output-plan.ts'
import { InFlightMessage, PartitionStream } from '../../src/stream/partition-stream.ts'
import type { TransactionPort } from '../../src/stream/ports.ts'
import { noMetrics } from '../support/no-metrics.ts'

interface Transaction {
  readonly lane: number
  readonly batches: readonly OutgoingBatch[]
  readonly positions: readonly Position[]
}

/** Two lanes; the answers to transactions are given one after another, and then all are committed. */
async function delivery(
  limits: Partial<TransactionLimits> = {},
  answers: ('committed' | 'stale' | LabelstreamError)[] = [],
) {
  const transactions: Transaction[] = []
  const acknowledged: number[] = []
  const rejoined: number[] = []
  const failures: LabelstreamError[] = []
  const port: TransactionPort = {
    laneOf: (partition) => partition % 2,
    partitionCount: () => Promise.resolve(3),
    settle: () => Promise.resolve(),
    transact: async (_epoch, lane, batches, positions) => {
      transactions.push({ lane, batches, positions })
      await nextTurn()
      const answer = answers.shift() ?? 'committed'
      if (answer instanceof LabelstreamError) throw answer
      return answer
    },
  }
  const reader = {
    start: () => undefined,
    pause: () => undefined,
    resume: () => undefined,
    commit: () => Promise.reject(new Error('offsets are committed by transactions')),
    rejoin: (epoch: number) => rejoined.push(epoch),
    close: () => Promise.resolve(),
  }
  const once = new ExactlyOnce(
    { transactions: port, reader, metrics: noMetrics },
    await OutputPlan.create(port, { scores: 'scores', deadLetters: 'dead-letters' }),
    { transactionMs: 10_000, transactionMessages: 1_000, ...limits },
    {
      streams: () => [],
      acknowledged: (stream, run) => {
        for (const { offset } of run) stream.ledger.finish(offset)
        stream.sequencer.acknowledge()
        acknowledged.push(...run.map(({ offset }) => offset))
      },
      failed: (error) => failures.push(error),
    },
  )
  return { once, transactions, acknowledged, rejoined, failures }
}

function streamOf(partition: number): PartitionStream {
  return new PartitionStream(7, 'texts', partition, { maxMessages: 100, maxBytes: 1_000_000 })
}

/** Messages with these offsets are read, and their outcomes known. */
function scored(stream: PartitionStream, offsets: readonly number[]): void {
  for (const offset of offsets) {
    const { topic, partition } = stream
    const value = Buffer.from(String(offset))
    const source = { topic, partition, offset, timestampMs: 0, key: null, value, headers: {} }
    const message = new InFlightMessage(source, stream, 0)
    stream.ledger.enter(offset)
    stream.sequencer.push(message)
    message.outcome = {
      kind: 'score',
      sizeBytes: 1,
      message: { key: null, value, headers: {} },
      model: 'tiny@1',
      reason: undefined,
    }
  }
}

async function settled(once: ExactlyOnce): Promise<void> {
  while (!once.idle) await nextTurn()
}

const values = ({ batches }: Transaction): string[][] =>
  batches.map(({ messages }) => messages.map(({ value }) => String(value)))

test('a transaction waits for enough outcomes and holds those of all partitions of its lane', async () => {
  const { once, transactions, acknowledged } = await delivery({ transactionMessages: 4 })
  const [first, second] = [streamOf(0), streamOf(2)]
  scored(first, [5, 6])
  once.ready(first)
  await nextTurn()
  assert.equal(transactions.length, 0)
  assert.equal(once.idle, false)
  scored(second, [8, 9])
  once.ready(second)
  await settled(once)
  assert.equal(transactions.length, 1)
  assert.deepEqual(transactions.map(values), [
    [
      ['5', '6'],
      ['8', '9'],
    ],
  ])
  assert.deepEqual(transactions[0]?.positions, [
    { topic: 'texts', partition: 0, offset: 7 },
    { topic: 'texts', partition: 2, offset: 10 },
  ])
  assert.deepEqual(acknowledged, [5, 6, 8, 9])
  await once.finish()
})

test('a little goes when its time has come, and at once when nothing more will come', async () => {
  const soon = await delivery({ transactionMs: 1 })
  const stream = streamOf(1)
  scored(stream, [0])
  soon.once.ready(stream)
  await settled(soon.once)
  assert.deepEqual(soon.acknowledged, [0])

  const draining = await delivery()
  const other = streamOf(1)
  scored(other, [0])
  draining.once.ready(other)
  draining.once.drain()
  await settled(draining.once)
  assert.deepEqual(draining.acknowledged, [0])
})

test('offsets that hold no message are committed too', async () => {
  const { once, transactions } = await delivery()
  const stream = streamOf(0)
  scored(stream, [3])
  stream.ledger.advance(9)
  once.ready(stream)
  once.drain()
  await settled(once)
  assert.equal(transactions.at(-1)?.positions[0]?.offset, 9)
  stream.ledger.advance(12)
  once.ready(stream)
  await once.finish()
  assert.deepEqual(transactions.at(-1), {
    lane: 0,
    batches: [],
    positions: [{ topic: 'texts', partition: 0, offset: 12 }],
  })
})

test('what a topic finds too large goes in halves, in the same transaction', async () => {
  const tooLarge = new LabelstreamError('RECORD_TOO_LARGE', 'too large')
  const { once, transactions, acknowledged, failures } = await delivery({}, [tooLarge, tooLarge])
  const stream = streamOf(0)
  scored(stream, [0, 1, 2, 3])
  once.ready(stream)
  once.drain()
  await settled(once)
  assert.deepEqual(transactions.map(values), [
    [['0', '1', '2', '3']],
    [
      ['0', '1'],
      ['2', '3'],
    ],
    [['0'], ['1'], ['2'], ['3']],
  ])
  assert.deepEqual(acknowledged, [0, 1, 2, 3])
  assert.deepEqual(failures, [])
})

test('a single message that is too large ends the stream', async () => {
  const tooLarge = new LabelstreamError('RECORD_TOO_LARGE', 'too large')
  const { once, acknowledged, failures } = await delivery({}, [tooLarge])
  const stream = streamOf(0)
  scored(stream, [0])
  once.ready(stream)
  once.drain()
  await settled(once)
  assert.deepEqual(failures, [tooLarge])
  assert.deepEqual(acknowledged, [])
})

test('a lane that is lost ends its epoch, and nothing of it counts', async () => {
  const { once, acknowledged, rejoined } = await delivery({}, ['stale', 'stale'])
  const stream = streamOf(0)
  scored(stream, [0])
  once.ready(stream)
  once.drain()
  await nextTurn()
  await nextTurn()
  assert.deepEqual(rejoined, [7])
  assert.deepEqual(acknowledged, [])
  once.revoked()
  assert.equal(once.idle, true)
})

test('a transaction that its epoch did not live to see disturbs nobody', async () => {
  const { once, acknowledged, rejoined } = await delivery({}, ['stale'])
  const stream = streamOf(0)
  scored(stream, [0])
  once.ready(stream)
  once.drain()
  stream.live = false
  once.revoked()
  await nextTurn()
  await nextTurn()
  assert.deepEqual(rejoined, [])
  assert.deepEqual(acknowledged, [])
})
