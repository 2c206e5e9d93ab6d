import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainArithmetic } from '../../src/train/vector-arithmetic.ts'
import { WeightAverage } from '../../src/train/weight-average.ts'

/** The average of a weight that is the step's number, and the steps at which it was taken. */
function averaged(totalSteps: number, decay: number): { average: number; taken: number[] } {
  const weights = new Map([['w', new Float32Array(1)]])
  const average = new WeightAverage(weights, { decay, totalSteps }, plainArithmetic)
  const taken: number[] = []
  for (let step = 1; step <= totalSteps; step++) {
    weights.get('w')?.fill(step)
    if (!average.isDue(step)) continue
    average.take(step)
    taken.push(step)
  }
  return { average: average.arrays.get('w')?.[0] ?? NaN, taken }
}

test('a long training is averaged at every tenth step, a short one at each', () => {
  assert.deepEqual(averaged(1_000, 0.96).taken.slice(0, 3), [10, 20, 30])
  assert.deepEqual(averaged(250, 0.96).taken.slice(0, 3), [3, 6, 9])
  assert.equal(averaged(50, 0.96).taken.length, 50)
})

test('the average trails the weights by about 1 / (1 - decay) turns, and has left the first ones behind', () => {
  const { average } = averaged(10_000, 0.96)
  // each turn is ten steps; a moving average of a line is behind by decay / (1 - decay) turns
  assert.ok(Math.abs(10_000 - average - (10 * 0.96) / 0.04) < 1, String(average))
  assert.ok(averaged(20, 0.96).average > 12)
})

test('the live weights stay what they are', () => {
  const values = Float32Array.of(1, 2)
  const average = new WeightAverage(new Map([['w', values]]), { decay: 0.5, totalSteps: 10 }, plainArithmetic)
  values.fill(4)
  average.take(1)
  assert.deepEqual([...values], [4, 4])
  assert.notEqual(average.arrays.get('w')?.[0], 1)
})
