import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { sigmoid } from '../../src/evaluation/calibrators.ts'
import { type Matrix, matrix } from '../../src/evaluation/matrix.ts'
import { macroF1OfOutcomes, outcomesOf } from '../../src/evaluation/metrics.ts'
import { chooseShrinkage } from '../../src/evaluation/threshold-shrinkage.ts'
import { type TunedPolicy, chooseThresholds } from '../../src/evaluation/thresholds.ts'

const policy = { kind: 'f-beta', beta: 1, minPositives: 1, shrinkage: 0 } as const satisfies TunedPolicy

/** Logits of `labels` labels and targets drawn by their probabilities, all the rarer the higher the offset. */
function drawn(
  rows: number,
  labels: number,
  offset: number,
  seed: number,
): { logits: Matrix; targets: Matrix } {
  const random = seededRandom(seed)
  const logits = Float32Array.from({ length: rows * labels }, () => 2 * random.normal() - offset)
  const targets = Float32Array.from(logits, (logit) => (random.next() < sigmoid(logit) ? 1 : 0))
  return { logits: matrix(rows, labels, logits), targets: matrix(rows, labels, targets) }
}

test('with rare labels and calibrated logits, thresholds are pulled to the expected ones and hold better on new rows', () => {
  const dev = drawn(300, 12, 5, 1)
  const { shrinkage, heldOut } = chooseShrinkage(dev.logits, dev.targets, 'temperature', policy)
  assert.ok(shrinkage > 0)
  const own = heldOut.find((each) => each.shrinkage === 0)
  assert.ok(heldOut.every(({ macroF1 }) => macroF1 >= (own?.macroF1 ?? 1) - 0.02))

  const fresh = drawn(20_000, 12, 5, 2)
  const onFresh = (strength: number): number => {
    const scores = (of: Matrix): Matrix => ({ ...of, values: of.values.map(sigmoid) })
    const chosen = chooseThresholds(scores(dev.logits), dev.targets, { ...policy, shrinkage: strength })
    const thresholds = chosen.map(({ threshold }) => threshold)
    const outcomes = outcomesOf(scores(fresh.logits), fresh.targets, thresholds)
    return macroF1OfOutcomes(
      outcomes,
      12,
      Uint32Array.from({ length: 20_000 }, (_, row) => row),
    )
  }
  assert.ok(onFresh(shrinkage) > onFresh(0))
})

test('where scores mislead about their own probability, the targets are believed', () => {
  // Two narrow clouds, and a few positives far on the wrong side, which bend every sigmoid away from the edge.
  const random = seededRandom(5)
  const rows = 2_000
  const targets = Float32Array.from({ length: rows }, () => (random.next() < 0.3 ? 1 : 0))
  const logits = Float32Array.from(targets, (target) =>
    target === 0 ? -0.2 + 0.1 * random.normal() : random.next() < 0.02 ? -8 : 0.2 + 0.1 * random.normal(),
  )
  const { heldOut } = chooseShrinkage(matrix(rows, 1, logits), matrix(rows, 1, targets), 'none', policy)
  const f1At = (strength: number): number =>
    heldOut.find(({ shrinkage }) => shrinkage === strength)?.macroF1 ?? NaN
  assert.ok(f1At(0) > f1At(Infinity), JSON.stringify(heldOut))
  const { shrinkage } = chooseShrinkage(matrix(rows, 1, logits), matrix(rows, 1, targets), 'none', policy)
  assert.ok(shrinkage < Infinity)
})

test('the same rows give the same choice', () => {
  const { logits, targets } = drawn(200, 4, 2, 9)
  const choose = (): unknown => chooseShrinkage(logits, targets, 'platt', policy)
  assert.deepEqual(choose(), choose())
})
