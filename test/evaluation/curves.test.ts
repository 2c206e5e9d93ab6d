import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/core/paths.ts'
import { precisionRecallCurve, reliabilityBins } from '../../src/evaluation/curves.ts'
import { matrix } from '../../src/evaluation/matrix.ts'
import { expectedCalibrationError } from '../../src/evaluation/metrics.ts'

type Recorded = Record<'scores' | 'targets' | 'precision' | 'recall' | 'thresholds', number[]>

const recorded = JSON.parse(
  readFileSync(join(packageRoot, 'test/fixtures/evaluation/curves.json'), 'utf8'),
) as Recorded[]

function assertClose(actual: ArrayLike<number>, expected: readonly number[]): void {
  assert.equal(actual.length, expected.length)
  expected.forEach((value, place) => {
    assert.ok(Math.abs((actual[place] ?? NaN) - value) < 1e-9, `${actual[place]} is not ${value}`)
  })
}

test('precision-recall curves equal those of scikit-learn, equal scores included', () => {
  for (const { scores, targets, ...expected } of recorded) {
    const curve = precisionRecallCurve(Float32Array.from(scores), Float32Array.from(targets))
    assert.ok(curve)
    assertClose(curve.precision, expected.precision)
    assertClose(curve.recall, expected.recall)
    assertClose(curve.thresholds, expected.thresholds)
  }
})

test('a label without a positive has no precision-recall curve', () => {
  assert.equal(precisionRecallCurve(Float32Array.of(0.1, 0.9), Float32Array.of(0, 0)), undefined)
  assert.equal(precisionRecallCurve(new Float32Array(0), new Float32Array(0)), undefined)
})

test('reliability bins hold known cells by score, a score of 1 in the last, and leave out empty ones', () => {
  const scores = matrix(3, 2, Float32Array.of(0.25, 0.125, 0.25, 1, 0.9375, 0.5))
  const targets = matrix(3, 2, Float32Array.of(1, 0, 0, 1, 0.5, NaN))
  assert.deepEqual(reliabilityBins(scores, targets), [
    { from: 0.1, to: 0.2, count: 1, meanScore: 0.125, meanTarget: 0 },
    { from: 0.2, to: 0.3, count: 2, meanScore: 0.25, meanTarget: 0.5 },
    { from: 0.9, to: 1, count: 2, meanScore: 0.96875, meanTarget: 0.75 },
  ])
})

test('the gaps of the reliability bins, weighted by their counts, are the calibration error', () => {
  const { scores, targets } = recorded[0] ?? { scores: [], targets: [] }
  const all = [scores, targets].map((values) => matrix(values.length, 1, Float32Array.from(values)))
  const [of, against] = all
  assert.ok(of && against)
  const weighted = reliabilityBins(of, against).reduce(
    (sum, { count, meanScore, meanTarget }) => sum + count * Math.abs(meanScore - meanTarget),
    0,
  )
  assertClose([weighted / scores.length], [expectedCalibrationError(of, against, 10)])
})
