import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { FlatParameters } from '../../src/train/flat-parameters.ts'
import { RowAdamW } from '../../src/train/row-adamw.ts'
import { scheduleShare } from '../../src/train/schedule.ts'
import { plainArithmetic } from '../../src/train/vector-arithmetic.ts'

test('rows that are stepped when used end where AdamW on the whole table ends', () => {
  const random = seededRandom(1)
  const [rows, width, steps] = [7, 5, 260]
  const plan = { decay: 'linear', warmup: 0.1, totalSteps: steps } as const
  const policy = { peakRate: 0.01, weightDecay: 0.05 }
  const flat = new FlatParameters(new Map([['table', [rows, width]]]), () => policy, plainArithmetic)
  const table = new RowAdamW(
    new Float32Array(rows * width),
    width,
    { ...policy, scheduleAt: (step) => scheduleShare(step, plan), mostTokens: 4 },
    plainArithmetic,
  )
  flat.values.forEach((_, i) => {
    const value = random.normal()
    flat.values[i] = value
    table.values[i] = value
  })
  for (let step = 1; step <= steps; step++) {
    // The last row is used in the first steps only, the one before it never.
    const ids = Int32Array.of(random.integer(3), random.integer(3), step % 60 < 3 ? 4 : 3, step < 4 ? 6 : 0)
    const mask = Int32Array.of(1, 1, 1, step % 2)
    const gradients = Float32Array.from({ length: ids.length * width }, () => random.normal())
    table.catchUp(ids, step - 1)
    table.addGradients(ids, mask, gradients)
    flat.gradients.fill(0)
    ids.forEach((row, token) => {
      for (let i = 0; i < width; i++) {
        const cell = row * width + i
        const gradient = (gradients[token * width + i] ?? NaN) * (mask[token] ?? 0)
        flat.gradients[cell] = (flat.gradients[cell] ?? NaN) + gradient
      }
    })
    const squared = flat.squaredNorm()
    assert.ok(Math.abs(table.squaredNorm() - squared) < 1e-4 * squared)
    table.step(step, 0.5)
    flat.step(step, { schedule: scheduleShare(step, plan), clip: 0.5 })
  }
  table.catchUpAll(steps)
  flat.values.forEach((expected, i) => {
    const actual = table.values[i] ?? NaN
    assert.ok(Math.abs(actual - expected) < 1e-4, `cell ${i}: ${actual} instead of ${expected}`)
  })
})
