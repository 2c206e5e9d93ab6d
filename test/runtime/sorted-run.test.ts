import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { runSorted, sortedBatches } from '../../src/runtime/sorted-run.ts'

const lengths = fc.array(fc.integer({ min: 1, max: 512 }), { maxLength: 300 })

test('every window is in one batch and no batch of several is above the budget', () => {
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 2_000 }), (tokens, budgetTokens) => {
      const batches = sortedBatches(tokens, budgetTokens)
      assert.deepEqual(
        batches.flat().sort((a, b) => a - b),
        tokens.map((_tokens, index) => index),
      )
      for (const batch of batches) {
        const longest = Math.max(...batch.map((index) => tokens[index] ?? 0))
        assert.ok(batch.length === 1 || batch.length * longest <= budgetTokens)
      }
    }),
  )
})

test('rows come back in the order given, whatever batch they were in', async () => {
  const windows = [5, 1, 9, 3, 9, 2].map((length, index) => new Int32Array(length).fill(index))
  const runner = {
    run: (batch: readonly Int32Array[]) =>
      Promise.resolve({
        values: Float32Array.from(batch.flatMap((ids) => [ids[0] ?? -1, ids.length])),
        width: 2,
      }),
  }
  const done: number[] = []
  const rows = await runSorted(runner, windows, { budgetTokens: 10, onProgress: (count) => done.push(count) })
  assert.deepEqual(
    rows.map((row) => [...row]),
    windows.map((ids, index) => [index, ids.length]),
  )
  assert.equal(done.at(-1), windows.length)
})

test('a failing batch rejects the whole run', async () => {
  const runner = { run: () => Promise.reject(new Error('no')) }
  await assert.rejects(runSorted(runner, [new Int32Array(2)], { budgetTokens: 8 }), /no/)
})
