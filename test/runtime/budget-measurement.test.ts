import assert from 'node:assert/strict'
import { test } from 'node:test'
import { measureBudgets } from '../../src/runtime/budget-measurement.ts'

/** A session whose batches take the seconds that `secondsOf` says; nothing waits. */
function pretended(secondsOf: (tokens: number, call: number) => number) {
  const tried: number[] = []
  return {
    tried,
    measure: (batches: readonly (readonly Int32Array[])[]) => {
      const paddedTokens = batches.flat().reduce((sum, { length }) => sum + length, 0)
      tried.push(paddedTokens)
      return Promise.resolve({ paddedTokens, seconds: secondsOf(paddedTokens, tried.length) })
    },
  }
}
const options = { defaultTokens: 1_024, leastTokens: 512, limitMs: 60_000 }
const budgetOf = async (secondsOf: (tokens: number, call: number) => number, changes = {}) =>
  (await measureBudgets(pretended(secondsOf), { ...options, ...changes }))?.budgetTokens

test('the budget with the best rate is taken, larger or smaller than the default', async () => {
  assert.equal(await budgetOf((tokens) => tokens ** 1.5 * 1e-7), 512)
  assert.equal(
    await budgetOf((tokens) => 1e-5 + Math.max(tokens, 2_048) * 1e-6 * (tokens > 2_100 ? 2 : 1)),
    2_048,
  )
})

test('what hardly differs from the default stays the default', async () => {
  assert.equal(await budgetOf((tokens) => tokens * (tokens < 1_000 ? 0.97e-6 : 1e-6)), 1_024)
})

test('larger budgets are tried while they gain, one a round', async () => {
  assert.equal(await budgetOf((tokens) => 1e-3 + tokens * 1e-9), 8_192)
})

test('a round that something else on the machine slowed down does not decide', async () => {
  const slowOnce = (tokens: number, call: number): number =>
    tokens * (tokens < 600 ? 0.5e-6 : 1e-6) * (call < 5 ? 1 + (call % 3) * 10 : 1)
  assert.equal(await budgetOf(slowOnce), 512)
})

test('no budget is below the longest window', async () => {
  const session = pretended((tokens) => tokens ** 2 * 1e-9)
  const choice = await measureBudgets(session, { ...options, leastTokens: 3_000 })
  assert.equal(choice?.budgetTokens, 3_000)
  assert.ok(session.tried.every((tokens) => tokens > 2_900))
})

test('where one batch takes too long, one is tried and nothing chosen', async () => {
  const session = pretended((tokens) => tokens * 1e-3)
  assert.equal(await measureBudgets(session, { ...options, limitMs: 1_200 }), undefined)
  assert.equal(session.tried.length, 1)
})
