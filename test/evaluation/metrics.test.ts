import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { packageRoot } from '../../src/core/paths.ts'
import { matrix } from '../../src/evaluation/matrix.ts'
import {
  evaluateScores,
  expectedCalibrationError,
  macroF1OfOutcomes,
  outcomesOf,
} from '../../src/evaluation/metrics.ts'
import { averagePrecision } from '../../src/evaluation/ranking.ts'

interface Recorded {
  scores: number[][]
  targets: number[][]
  thresholds: number[]
  macroF1: number
  microF1: number
  samplesF1: number
  exactMatch: number
  hammingLoss: number
  averagePrecision: number[]
  precision: number[]
  recall: number[]
  f1: number[]
  support: number[]
}

const recorded = JSON.parse(
  readFileSync(join(packageRoot, 'test/fixtures/evaluation/metrics.json'), 'utf8'),
) as Recorded
const labels = ['a', 'b', 'c', 'd']
const of = (rows: number[][]) => matrix(rows.length, rows[0]?.length ?? 0, Float32Array.from(rows.flat()))
const close = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`)

test('every metric equals what scikit-learn gives', () => {
  const metrics = evaluateScores(of(recorded.scores), of(recorded.targets), labels, recorded.thresholds)
  for (const name of ['macroF1', 'microF1', 'samplesF1', 'exactMatch', 'hammingLoss'] as const) {
    close(metrics[name], recorded[name])
  }
  labels.forEach((label, column) => {
    for (const name of ['precision', 'recall', 'f1', 'support'] as const) {
      close(metrics.perLabel[label]?.[name] ?? NaN, recorded[name][column] ?? NaN)
    }
  })
  const withPositives = recorded.averagePrecision.filter((_, column) => (recorded.support[column] ?? 0) > 0)
  close(
    metrics.meanAveragePrecision,
    withPositives.reduce((sum, value) => sum + value, 0) / withPositives.length,
  )
})

test('the average precision of each label equals scikit-learn, ties included', () => {
  labels.forEach((_label, column) => {
    const of1 = (rows: number[][]) => Float32Array.from(rows, (row) => row[column] ?? 0)
    if ((recorded.support[column] ?? 0) === 0) return
    close(
      averagePrecision(of1(recorded.scores), of1(recorded.targets)),
      recorded.averagePrecision[column] ?? NaN,
    )
  })
})

test('an unknown target counts nowhere: blanking cells equals removing them', () => {
  const scores = matrix(2, 2, Float32Array.of(0.9, 0.9, 0.2, 0.9))
  const metrics = evaluateScores(
    scores,
    matrix(2, 2, Float32Array.of(1, NaN, 0, NaN)),
    ['a', 'b'],
    [0.5, 0.5],
  )
  assert.equal(metrics.exactMatch, 1)
  assert.equal(metrics.hammingLoss, 0)
  assert.deepEqual(metrics.perLabel.b, { precision: 0, recall: 0, f1: 0, support: 0, threshold: 0.5 })
})

test('a row with nothing to find and nothing found counts 0 in samplesF1 and exact in exactMatch', () => {
  const metrics = evaluateScores(of([[0.1], [0.9]]), of([[0], [1]]), ['a'], [0.5])
  assert.equal(metrics.samplesF1, 0.5)
  assert.equal(metrics.exactMatch, 1)
})

test('a soft target is positive from 0.5 on', () => {
  const metrics = evaluateScores(of([[0.9], [0.9]]), of([[0.5], [0.49]]), ['a'], [0.5])
  assert.equal(metrics.perLabel.a?.support, 1)
  assert.equal(metrics.perLabel.a?.precision, 0.5)
})

test('the calibration error is the weighted gap between score and target in each bin', () => {
  close(
    expectedCalibrationError(of([[0.8], [0.8], [0.8], [0.8]]), of([[1], [1], [1], [0]])),
    Math.fround(0.8) - 0.75,
  )
  assert.equal(expectedCalibrationError(of([[1], [0]]), of([[1], [0]])), 0)
})

test('macro-F1 from outcomes equals macro-F1 from scores on any rows', () => {
  const cell = fc.record({
    score: fc.float({ min: 0, max: 1, noNaN: true }),
    target: fc.constantFrom(0, 1, NaN),
  })
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 30 }), (rows) => {
      const scores = of(rows.map((row) => row.map((c) => c.score)))
      const targets = of(rows.map((row) => row.map((c) => c.target)))
      const all = Uint32Array.from(rows.keys())
      const quick = macroF1OfOutcomes(outcomesOf(scores, targets, [0.3, 0.6]), 2, all)
      const full = evaluateScores(scores, targets, ['a', 'b'], [0.3, 0.6]).macroF1
      close(quick, full)
    }),
  )
})

test('no rows give zeros, not NaN', () => {
  const metrics = evaluateScores(
    matrix(0, 1, new Float32Array()),
    matrix(0, 1, new Float32Array()),
    ['a'],
    [0.5],
  )
  assert.equal(metrics.macroF1, 0)
  assert.equal(metrics.expectedCalibrationError, 0)
})
