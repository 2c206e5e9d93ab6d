import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/core/paths.ts'
import { seededRandom } from '../../src/core/random.ts'
import {
  calibrate,
  expectedProbabilities,
  fitCalibrators,
  sigmoid,
} from '../../src/evaluation/calibrators.ts'
import { matrix } from '../../src/evaluation/matrix.ts'
import { expectedCalibrationError } from '../../src/evaluation/metrics.ts'

const column = (values: number[]) => matrix(values.length, 1, Float32Array.from(values))

test('Platt scaling equals the fit of scikit-learn', () => {
  const recorded = JSON.parse(
    readFileSync(join(packageRoot, 'test/fixtures/evaluation/platt.json'), 'utf8'),
  ) as { logits: number[]; targets: number[]; slope: number; intercept: number }
  const [fitted] = fitCalibrators(column(recorded.logits), column(recorded.targets), 'platt')
  assert.ok(Math.abs((fitted?.slope ?? 0) - recorded.slope) < 1e-4)
  assert.ok(Math.abs((fitted?.intercept ?? 0) - recorded.intercept) < 1e-4)
})

test('a temperature undoes overconfident logits', () => {
  const random = seededRandom(3)
  const truths = Array.from({ length: 4000 }, () => random.normal() * 2)
  const targets = column(truths.map((logit) => (random.next() < sigmoid(logit) ? 1 : 0)))
  const logits = column(truths.map((logit) => logit * 3))
  const [fitted] = fitCalibrators(logits, targets, 'temperature')
  assert.ok(Math.abs((fitted?.slope ?? 0) - 1 / 3) < 0.03)
  const before = expectedCalibrationError(calibrate(logits, [{ slope: 1, intercept: 0 }]), targets)
  const after = expectedCalibrationError(calibrate(logits, fitted ? [fitted] : []), targets)
  assert.ok(after < before / 3)
})

test('perfectly separated rows still give finite calibrators that keep the order', () => {
  const logits = column([-9, -8, -7, -6, 6, 7, 8, 9])
  const targets = column([0, 0, 0, 0, 1, 1, 1, 1])
  for (const kind of ['temperature', 'platt'] as const) {
    const [fitted] = fitCalibrators(logits, targets, kind, 2)
    assert.ok(fitted !== undefined && fitted.slope > 0 && fitted.slope < 2)
  }
})

test('a label with too few positives takes the shared temperature', () => {
  const logits = matrix(4, 2, Float32Array.of(2, 1, -2, -1, 1, -1, -1, -2))
  const targets = matrix(4, 2, Float32Array.of(1, 1, 0, 0, 1, 0, 0, 0))
  const [first, second] = fitCalibrators(logits, targets, 'platt', 2)
  assert.equal(second?.intercept, 0)
  assert.notEqual(first?.intercept, 0)
})

test('unknown targets do not take part in a fit', () => {
  const known = fitCalibrators(column([3, -2, 1, -1]), column([1, 0, 0, 1]), 'platt', 1)
  const masked = fitCalibrators(column([3, 9, -2, 1, -1]), column([1, NaN, 0, 0, 1]), 'platt', 1)
  assert.deepEqual(masked, known)
})

/** Rows of a label whose logits are all too low by `offset`, and of one whose logits are right. */
function misjudged(rows: number, offset: number, seed: number) {
  const random = seededRandom(seed)
  const truths = Array.from({ length: rows * 2 }, () => random.normal() * 2)
  return {
    logits: matrix(
      rows,
      2,
      Float32Array.from(truths, (truth, cell) => truth - (cell % 2 === 0 ? offset : 0)),
    ),
    targets: matrix(
      rows,
      2,
      Float32Array.from(truths, (truth) => (random.next() < sigmoid(truth) ? 1 : 0)),
    ),
    truths,
  }
}

/** Mean distance from the true probability, by label. */
function errors({ logits, targets, truths }: ReturnType<typeof misjudged>): number[] {
  const { values } = expectedProbabilities(logits, targets)
  return [0, 1].map((label) => {
    const distances = truths.flatMap((truth, cell) =>
      cell % 2 === label ? [Math.abs((values[cell] ?? NaN) - sigmoid(truth))] : [],
    )
    return distances.reduce((sum, each) => sum + each, 0) / distances.length
  })
}

test('expected probabilities find out that a label is scored too low, where there are rows to tell by', () => {
  const [many = NaN, right = NaN] = errors(misjudged(4000, 1, 4))
  assert.ok(many < 0.03 && right < 0.03, `${many} ${right}`)
  const [few = NaN] = errors(misjudged(15, 1, 4))
  assert.ok(few > 2 * many)
})

test('with a few rows expected probabilities are nearer to the temperature than those of Platt', () => {
  const { logits, targets } = misjudged(30, 0, 6)
  const distance = (a: Float32Array, b: Float32Array): number =>
    a.reduce((sum, each, cell) => sum + Math.abs(each - (b[cell] ?? NaN)), 0)
  const [temperature, platt] = (['temperature', 'platt'] as const).map((kind) =>
    calibrate(logits, fitCalibrators(logits, targets, kind)),
  )
  assert.ok(temperature !== undefined && platt !== undefined)
  const expected = expectedProbabilities(logits, targets)
  assert.ok(distance(expected.values, temperature.values) < 0.7 * distance(platt.values, temperature.values))
})
