import assert from 'node:assert/strict'
import { test } from 'node:test'
import { confidentDisagreements } from '../../src/evaluation/confident-learning.ts'
import { matrix } from '../../src/evaluation/matrix.ts'

/** One label: rows of [given, predicted]. */
const oneLabel = (rows: readonly (readonly [given: number, predicted: number])[], minRows = 1) =>
  confidentDisagreements(
    matrix(
      rows.length,
      1,
      Float32Array.from(rows, ([, predicted]) => predicted),
    ),
    matrix(
      rows.length,
      1,
      Float32Array.from(rows, ([given]) => given),
    ),
    minRows,
  )

test('cells that reach the other answer’s mean probability disagree, the furthest first', () => {
  // Means: 0.625 over those given as yes, so a no needs that much; 1 - 0.25 over the others, so a yes needs 0.25 at most.
  const { labels, disagreements } = oneLabel([
    [1, 0.875],
    [1, 0.875],
    [1, 0.5],
    [1, 0.25],
    [0, 0.0],
    [0, 0.125],
    [0, 0.125],
    [0, 0.75],
  ])
  assert.deepEqual(labels, [{ judged: true, positives: 4, negatives: 4, missing: 1, wronglyGiven: 1 }])
  assert.deepEqual(
    disagreements.map(({ row, given, predicted }) => [row, given, predicted]),
    [
      [3, 1, 0.25],
      [7, 0, 0.75],
    ],
  )
})

test('a rare label that the model never gives half a chance is missing nowhere', () => {
  const rows = Array.from(
    { length: 100 },
    (_, row) => [row < 5 ? 1 : 0, row % 20 === 0 ? 0.4 : 0.02] as const,
  )
  const { labels } = oneLabel(rows)
  assert.equal(labels[0]?.missing, 0)
})

test('unknown cells are left out, soft ones count by their side, and few rows are not judged', () => {
  const rows = [
    [NaN, 0.99],
    [0.75, 0.9],
    [0.6, 0.05],
    [0, 0.1],
    [0.25, 0.1],
  ] as const
  const { labels, disagreements } = oneLabel(rows)
  assert.deepEqual(labels, [{ judged: true, positives: 2, negatives: 2, missing: 0, wronglyGiven: 1 }])
  assert.equal(disagreements[0]?.row, 2)
  const scarce = oneLabel(rows, 3)
  assert.deepEqual(scarce, {
    labels: [{ judged: false, positives: 2, negatives: 2, missing: 0, wronglyGiven: 0 }],
    disagreements: [],
  })
})
