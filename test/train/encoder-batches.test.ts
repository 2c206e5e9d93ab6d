import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../src/core/random.ts'
import { matrix } from '../../src/evaluation/matrix.ts'
import {
  dropTokens,
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

test('token dropout hides about its share of the tokens, never the first or last of a row, and touches no ids', () => {
  const windows = [60, 40, 2, 1].map((length) => Int32Array.from({ length }, (_, place) => place + 1))
  let hidden = 0
  for (let seed = 0; seed < 200; seed++) {
    const padded = padRows(windows, [0, 1, 2, 3])
    const whole = padRows(windows, [0, 1, 2, 3])
    dropTokens(padded, 0.25, seededRandom(seed))
    assert.deepEqual(padded.inputIds, whole.inputIds)
    windows.forEach(({ length }, row) => {
      const mask = padded.attentionMask.subarray(row * padded.columns, (row + 1) * padded.columns)
      assert.equal(mask[0], 1)
      assert.equal(mask[length - 1], 1)
      assert.ok(mask.subarray(length).every((value) => value === 0))
      hidden += mask.subarray(0, length).filter((value) => value === 0).length
    })
  }
  const share = hidden / (200 * (58 + 38))
  assert.ok(Math.abs(share - 0.25) < 0.02, `${share}`)
})
