import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { seededRandom } from '../../src/core/random.ts'
import { assertBatchLimits, nextDispatch, type BatchSituation } from '../../src/stream/batcher.ts'
import { WaitingWindows, type Waiting } from '../../src/stream/waiting.ts'

const limits = { budgetTokens: 1_024, maxRows: 256, maxWaitMs: 20 }
const busy: BatchSituation = { moreExpected: true, workerIdle: false, draining: false }
const idle: BatchSituation = { moreExpected: false, workerIdle: true, draining: false }
const draining: BatchSituation = { moreExpected: true, workerIdle: false, draining: true }

function waitingOf(...windows: readonly (readonly [length: number, arrivedMs: number])[]) {
  const waiting = new WaitingWindows<Waiting>()
  for (const [length, arrivedMs] of windows) waiting.add({ tokens: new Int32Array(length), arrivedMs })
  return waiting
}

function many(count: number, length: number, arrivedMs = 0) {
  return Array.from({ length: count }, () => [length, arrivedMs] as const)
}

describe('nextDispatch', () => {
  test('sends a full budget of equal lengths at once, although more is expected', () => {
    const waiting = waitingOf(...many(70, 16))
    const next = nextDispatch(waiting.buckets(), 1, limits, busy)
    assert.deepEqual(next, { dispatch: { longestTokens: 16, rows: 64 }, reason: 'full' })
  })

  test('says how long the oldest window may still wait', () => {
    const waiting = waitingOf([10, 5], [30, 3])
    assert.deepEqual(nextDispatch(waiting.buckets(), 10, limits, busy), { waitMs: 13 })
  })

  test('has nothing to wait for when nothing waits', () => {
    assert.deepEqual(nextDispatch([], 10, limits, idle), { waitMs: Infinity })
  })

  test('sends the oldest window when it is due, filled with the nearest lengths', () => {
    const waiting = waitingOf([20, 0], [19, 15], [22, 15], [200, 15])
    const next = nextDispatch(waiting.buckets(), 20, limits, busy)
    assert.deepEqual(next, { dispatch: { longestTokens: 22, rows: 3 }, reason: 'deadline' })
  })

  test('sends at once when the worker is idle and nothing more comes', () => {
    const waiting = waitingOf([20, 0])
    const next = nextDispatch(waiting.buckets(), 0, limits, idle)
    assert.deepEqual(next, { dispatch: { longestTokens: 20, rows: 1 }, reason: 'idle' })
  })

  test('sends at once when draining', () => {
    const next = nextDispatch(waitingOf([20, 0]).buckets(), 0, limits, draining)
    assert.deepEqual(next, { dispatch: { longestTokens: 20, rows: 1 }, reason: 'drain' })
  })

  test('keeps to the row limit', () => {
    const next = nextDispatch(waitingOf(...many(10, 2)).buckets(), 0, { ...limits, maxRows: 4 }, draining)
    assert.deepEqual(next, { dispatch: { longestTokens: 2, rows: 4 }, reason: 'full' })
  })

  test('lets a window that is longer than the whole budget go alone', () => {
    const waiting = waitingOf([2_000, 0], [1_999, 1])
    const next = nextDispatch(waiting.buckets(), 20, limits, busy)
    assert.deepEqual(next, { dispatch: { longestTokens: 2_000, rows: 1 }, reason: 'full' })
  })

  test('does not let an idle worker wait before a whole budget of unlike lengths', () => {
    const unlike = Array.from({ length: 20 }, (_, index) => [index * 5 + 5, 0] as const)
    const waiting = waitingOf(...unlike)
    const situation = { ...busy, workerIdle: true }
    const next = nextDispatch(waiting.buckets(), 1, limits, situation)
    assert.ok('dispatch' in next)
    assert.equal(next.reason, 'full')
    assert.deepEqual(nextDispatch(waiting.buckets(), 1, limits, busy), { waitMs: 19 })
  })

  test('does not starve a rare length behind an endless supply of another', () => {
    const waiting = waitingOf([300, 0], ...many(500, 20, 1))
    const next = nextDispatch(waiting.buckets(), 25, limits, busy)
    assert.ok('dispatch' in next)
    const taken = waiting.take(next.dispatch.longestTokens, next.dispatch.rows)
    assert.equal(taken[0]?.tokens.length, 300)
  })

  for (const budgetTokens of [1_024, 2_048]) {
    test(`pads less than 5 % on a pool of 1,000 texts and a budget of ${budgetTokens}`, () => {
      const random = seededRandom(7)
      const waiting = new WaitingWindows<Waiting>()
      let arrivals = 0
      const arrive = (): void => {
        // Gamma with mean 24 and standard deviation 15, as sums of exponentials: short texts with a long tail.
        const shape = 2.56
        let sum = -Math.log(1 - random.next()) - Math.log(1 - random.next())
        if (random.next() < shape - 2) sum -= Math.log(1 - random.next())
        const length = Math.min(128, Math.max(3, Math.round(sum * (24 / shape))))
        waiting.add({ tokens: new Int32Array(length), arrivedMs: arrivals++ / 1_000 })
      }
      for (let text = 0; text < 1_000; text++) arrive()
      let paddedTokens = 0
      let realTokens = 0
      let batches = 0
      while (arrivals < 20_000) {
        const next = nextDispatch(waiting.buckets(), 1e6, { ...limits, budgetTokens }, busy)
        assert.ok('dispatch' in next)
        const rows = waiting.take(next.dispatch.longestTokens, next.dispatch.rows)
        paddedTokens += rows.length * next.dispatch.longestTokens
        for (const row of rows) realTokens += row.tokens.length
        batches++
        for (let text = 0; text < rows.length; text++) arrive()
      }
      const paddingShare = 1 - realTokens / paddedTokens
      assert.ok(paddingShare < 0.05, `padding share ${paddingShare.toFixed(4)} in ${batches} batches`)
      const fill = paddedTokens / batches / budgetTokens
      assert.ok(fill > 0.7, `batches fill only ${fill.toFixed(3)} of the budget on average`)
    })
  }
})

describe('assertBatchLimits', () => {
  test('refuses a budget that one window can exceed, naming the setting', () => {
    assert.throws(
      () => assertBatchLimits({ ...limits, budgetTokens: 100 }, 512),
      (error) =>
        error instanceof LabelstreamError &&
        error.code === 'SETTING_INVALID' &&
        error.message.includes('batch.budgetTokens'),
    )
  })
})
