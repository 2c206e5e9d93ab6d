import assert from 'node:assert/strict'
import { test } from 'node:test'
import { derivedSeed, scheduleShare } from '../../src/train/schedule.ts'

const near = (actual: number, expected: number): void => {
  assert.ok(Math.abs(actual - expected) < 1e-12, `${actual} instead of ${expected}`)
}

test('rates rise to their peak in warm-up and fall to 0 after the last step', () => {
  for (const decay of ['linear', 'cosine'] as const) {
    const plan = { decay, warmup: 0.1, totalSteps: 100 }
    near(scheduleShare(1, plan), 0.1)
    near(scheduleShare(10, plan), 1)
    near(scheduleShare(101, plan), 0)
    const shares = Array.from({ length: 90 }, (_, index) => scheduleShare(11 + index, plan))
    assert.ok(shares.every((share, index) => index === 0 || share < (shares[index - 1] ?? 0)))
  }
})

test('half-way through the decay both shapes are at one half, before it cosine is above linear', () => {
  const linear = { decay: 'linear', warmup: 0, totalSteps: 100 } as const
  const cosine = { ...linear, decay: 'cosine' } as const
  near(scheduleShare(51, linear), 0.5)
  near(scheduleShare(51, cosine), 0.5)
  assert.ok(scheduleShare(26, cosine) > scheduleShare(26, linear))
})

test('seeds of different purposes, steps and parts differ', () => {
  const seeds = [
    derivedSeed(1, 'order', 1),
    derivedSeed(1, 'dropout', 1),
    derivedSeed(1, 'dropout', 1, 0),
    derivedSeed(1, 'dropout', 1, 1),
    derivedSeed(1, 'dropout', 2, 0),
    derivedSeed(2, 'dropout', 1, 0),
  ]
  assert.equal(new Set(seeds).size, seeds.length)
})
