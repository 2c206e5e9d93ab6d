import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DropoutPool } from '../../src/train/dropout-pool.ts'

test('masks hold 0 at the rate and leave the mean as it is', () => {
  const pool = new DropoutPool(0.1, 1_000, 7)
  const mask = pool.mask(1_000_000, 0.3)
  const kept = mask.filter((value) => value !== 0)
  assert.ok(Math.abs(kept.length / mask.length - 0.9) < 0.002)
  assert.ok(kept.every((value) => value === Math.fround(1 / 0.9)))
})

test('any place gives a whole mask, also of the longest length', () => {
  const longest = 3_000_000
  const pool = new DropoutPool(0.5, longest, 7)
  for (const place of [0, 0.5, 1 - 2 ** -32]) assert.equal(pool.mask(longest, place).length, longest)
  assert.equal(pool.mask(0, 0.9).length, 0)
})

test('the same seed gives the same masks, another place another one', () => {
  const [first, second] = [new DropoutPool(0.5, 100, 7), new DropoutPool(0.5, 100, 7)]
  assert.deepEqual(first.mask(100, 0.4), second.mask(100, 0.4))
  assert.notDeepEqual(first.mask(100, 0.4), first.mask(100, 0.6))
})
