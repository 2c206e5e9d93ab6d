import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { matrix } from '../../src/evaluation/matrix.ts'
import { evaluateScores } from '../../src/evaluation/metrics.ts'
import { defaultDecisionOptions } from '../../src/train/decision-fit.ts'
import {
  type FoldedRows,
  contenderOf,
  heldOutDecisions,
  heldOutMetrics,
} from '../../src/train/held-out-decisions.ts'

const labels = ['a', 'b']
const rows = 200

/** Logits that tell each label, a from 1 and b from -1 on, with noise. */
function noisyRows(): FoldedRows {
  const random = seededRandom(3)
  const logits = Float32Array.from({ length: rows * 2 }, () => random.normal() * 2)
  const targets = logits.map((logit, cell) =>
    logit + random.normal() * 0.3 > (cell % 2 === 0 ? 1 : -1) ? 1 : 0,
  )
  return {
    labels,
    logits: matrix(rows, 2, logits),
    targets: matrix(rows, 2, targets),
    folds: Array.from({ length: rows }, (_, row) => row % 5),
  }
}

test('a row is decided by what the other folds say, and by nothing of its own', () => {
  const given = noisyRows()
  const { scores, decided } = heldOutDecisions(given, defaultDecisionOptions)
  const flipped = given.targets.values.map((target, cell) =>
    given.folds[cell >> 1] === 2 ? 1 - target : target,
  )
  const without = heldOutDecisions({ ...given, targets: matrix(rows, 2, flipped) }, defaultDecisionOptions)
  let moved = 0
  scores.values.forEach((score, cell) => {
    if (given.folds[cell >> 1] === 2) {
      assert.equal(without.scores.values[cell], score)
      assert.equal(without.decided.values[cell], decided.values[cell])
    } else if (without.scores.values[cell] !== score) moved++
  })
  assert.ok(moved > rows, 'the other folds have heard of it')
})

test('figures are of the decisions that were made, ranking and calibration of the scores', () => {
  const { targets, ...given } = noisyRows()
  const heldOut = heldOutDecisions({ ...given, targets }, defaultDecisionOptions)
  const metrics = heldOutMetrics(heldOut, targets, labels, [0.25, 0.75])
  const decided = evaluateScores(heldOut.decided, targets, labels, [0.5, 0.5])
  const ranked = evaluateScores(heldOut.scores, targets, labels, [0.25, 0.75])
  assert.equal(metrics.macroF1, decided.macroF1)
  assert.ok(metrics.macroF1 > 0.85, `macro-F1 ${metrics.macroF1}`)
  assert.equal(metrics.meanAveragePrecision, ranked.meanAveragePrecision)
  assert.equal(metrics.expectedCalibrationError, ranked.expectedCalibrationError)
  assert.deepEqual([metrics.perLabel.a?.threshold, metrics.perLabel.b?.threshold], [0.25, 0.75])
  assert.equal(metrics.perLabel.a?.f1, decided.perLabel.a?.f1)
  assert.deepEqual(contenderOf(heldOut), { scores: heldOut.decided, thresholds: [0.5, 0.5] })
})
