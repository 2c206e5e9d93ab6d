import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { matrix } from '../../src/evaluation/matrix.ts'
import {
  epochBatches,
  padRows,
  stepsPerEpoch,
  targetRows,
  withinBudget,
} from '../../src/train/encoder-batches.ts'

const lengths = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 400 })

test('an epoch has every row once, in as many batches as counted, the same for the same seed', () => {
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 40 }), fc.nat(), (rows, batch, seed) => {
      const batches = epochBatches(rows, { batch, seed, epoch: 1 })
      assert.deepEqual(
        batches.flat().sort((a, b) => a - b),
        rows.map((_length, row) => row),
      )
      assert.equal(batches.length, stepsPerEpoch(rows.length, batch))
      assert.ok(batches.every(({ length }) => length <= batch))
      assert.deepEqual(epochBatches(rows, { batch, seed, epoch: 1 }), batches)
    }),
  )
})

test('another epoch has another order', () => {
  const rows = Array.from({ length: 50 }, () => 3)
  const options = { batch: 4, seed: 1 }
  assert.notDeepEqual(
    epochBatches(rows, { ...options, epoch: 1 }),
    epochBatches(rows, { ...options, epoch: 2 }),
  )
})

test('parts of a batch have every row once and keep to the budget unless a row alone is over it', () => {
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 2_000 }), (rows, budget) => {
      const all = rows.map((_length, row) => row)
      const parts = withinBudget(all, rows, budget)
      assert.deepEqual(
        parts.flat().sort((a, b) => a - b),
        all,
      )
      for (const part of parts) {
        const longest = Math.max(...part.map((row) => rows[row] ?? 0))
        assert.ok(part.length === 1 || part.length * longest <= budget)
      }
    }),
  )
})

test('rows are padded to the longest of them, and the mask says where tokens stand', () => {
  const windows = [Int32Array.of(5, 6, 7), Int32Array.of(8)]
  assert.deepEqual(padRows(windows, [1, 0]), {
    rows: 2,
    columns: 3,
    inputIds: Int32Array.of(8, 0, 0, 5, 6, 7),
    attentionMask: Int32Array.of(1, 0, 0, 1, 1, 1),
  })
})

test('unknown targets are masked out, and smoothing moves the others towards one half', () => {
  const targets = matrix(2, 2, Float32Array.of(1, NaN, 0, 0.5))
  assert.deepEqual(targetRows(targets, [1, 0], 0.5), {
    targets: Float32Array.of(0.25, 0.5, 0.75, 0),
    mask: Float32Array.of(1, 1, 1, 0),
    known: 3,
  })
})
