import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { sigmoid } from '../../src/evaluation/calibrators.ts'
import { type Matrix, matrix } from '../../src/evaluation/matrix.ts'
import { evaluateScores } from '../../src/evaluation/metrics.ts'
import { decideAll } from '../../src/models/score-matrix.ts'
import { bestOnTheseRows, defaultDecisionOptions, fitDecision } from '../../src/train/decision-fit.ts'

const labels = Array.from({ length: 12 }, (_, index) => `label ${index}`)

/** Logits and targets drawn by their probabilities; each label is scored a little too high or too low throughout. */
function drawn(rows: number, seed: number): { logits: Matrix; targets: Matrix } {
  const random = seededRandom(seed)
  const truths = Float32Array.from({ length: rows * labels.length }, () => 2 * random.normal() - 4)
  const targets = truths.map((truth) => (random.next() < sigmoid(truth) ? 1 : 0))
  const logits = truths.map((truth, cell) => truth + 0.3 * ((cell % 3) - 1))
  const of = (values: Float32Array): Matrix => matrix(rows, labels.length, values)
  return { logits: of(logits), targets: of(targets) }
}

test('thresholds chosen by default hold better on new rows than those that are best where they were chosen', () => {
  const fresh = drawn(20_000, 100)
  const own = {
    ...defaultDecisionOptions,
    chooseShrinkage: false,
    thresholds: { kind: 'f-beta', beta: 1, minPositives: 5, shrinkage: 0 },
  } as const
  let difference = 0
  for (let seed = 1; seed <= 5; seed++) {
    const { logits, targets } = drawn(400, seed)
    const [byDefault, byTargets] = [defaultDecisionOptions, own].map((options) => {
      const decision = fitDecision(labels, logits, targets, options)
      const thresholds = decision.labels.map(({ threshold }) => threshold)
      const qualityOn = (rows: { logits: Matrix; targets: Matrix }): number =>
        evaluateScores(decideAll(decision, rows.logits).scores, rows.targets, labels, thresholds).macroF1
      return { here: qualityOn({ logits, targets }), there: qualityOn(fresh) }
    })
    assert.ok(byDefault !== undefined && byTargets !== undefined)
    assert.ok(byDefault.here <= byTargets.here)
    difference += byDefault.there - byTargets.there
  }
  assert.ok(difference / 5 > 0.01, `${difference / 5}`)
})

test('the best F1 on the rows is that of thresholds by the targets alone', () => {
  const { logits, targets } = drawn(300, 7)
  const decision = fitDecision(labels, logits, targets, {
    calibration: 'none',
    thresholds: { kind: 'f-beta', beta: 1, minPositives: 1, shrinkage: 0 },
    chooseShrinkage: false,
  })
  const { scores } = decideAll(decision, logits)
  const thresholds = decision.labels.map(({ threshold }) => threshold)
  const { macroF1, microF1 } = evaluateScores(scores, targets, labels, thresholds)
  assert.deepEqual(bestOnTheseRows(scores, targets, labels), { macroF1, microF1 })
})
