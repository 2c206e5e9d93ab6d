import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../src/core/random.ts'
import { matrix } from '../../src/evaluation/matrix.ts'
import { evaluateScores } from '../../src/evaluation/metrics.ts'
import { chooseThresholds, shrunk, thresholdEvidence } from '../../src/evaluation/thresholds.ts'

const column = (values: number[]) => matrix(values.length, 1, Float32Array.from(values))
const f1 = { kind: 'f-beta', beta: 1, minPositives: 1, shrinkage: 0 } as const

test('the threshold lies half-way between the scores it separates', () => {
  const [chosen] = chooseThresholds(column([0.9, 0.8, 0.2, 0.1]), column([1, 1, 0, 0]), f1)
  assert.ok(Math.abs((chosen?.threshold ?? 0) - 0.5) < 1e-6)
})

test('no other threshold has a higher F1 on the same rows', () => {
  const cell = fc.tuple(fc.float({ min: 0, max: 1, noNaN: true }), fc.boolean())
  fc.assert(
    fc.property(
      fc.array(cell, { minLength: 1, maxLength: 25 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (rows, other) => {
        const scores = column(rows.map(([score]) => score))
        const targets = column(rows.map(([, positive]) => (positive ? 1 : 0)))
        const [chosen] = chooseThresholds(scores, targets, f1)
        const at = (threshold: number) => evaluateScores(scores, targets, ['a'], [threshold]).macroF1
        assert.ok(at(chosen?.threshold ?? 0.5) >= at(other) - 1e-12)
      },
    ),
  )
})

test('a label with too few positives takes the pooled threshold and says so', () => {
  const scores = matrix(4, 2, Float32Array.of(0.9, 0.7, 0.8, 0.1, 0.3, 0.1, 0.2, 0.1))
  const targets = matrix(4, 2, Float32Array.of(1, 1, 1, 0, 0, 0, 0, 0))
  const [common, rare] = chooseThresholds(scores, targets, {
    kind: 'f-beta',
    beta: 1,
    minPositives: 2,
    shrinkage: 0,
  })
  assert.equal(common?.pooled, false)
  assert.deepEqual(rare, { threshold: (Math.fround(0.7) + Math.fround(0.3)) / 2, pooled: true })
})

test('a precision target gives the lowest threshold that reaches it', () => {
  const scores = column([0.9, 0.8, 0.7, 0.6, 0.5])
  const targets = column([1, 1, 0, 1, 0])
  const policy = { kind: 'precision', target: 0.75, minPositives: 1, shrinkage: 0 } as const
  const [chosen] = chooseThresholds(scores, targets, policy)
  assert.ok(Math.abs((chosen?.threshold ?? 0) - 0.55) < 1e-6)
})

test('a fixed threshold is taken as it is, and 0.5 stands in where nothing is positive', () => {
  assert.deepEqual(chooseThresholds(column([0.1]), column([0]), { kind: 'fixed', value: 0.3 }), [
    { threshold: 0.3, pooled: false },
  ])
  assert.deepEqual(chooseThresholds(column([0.1]), column([0]), f1), [{ threshold: 0.5, pooled: true }])
})

test('shrinkage moves a threshold from the own cut to the one that the scores expect, the sooner the fewer positives', () => {
  const evidence = { own: 0.9, expected: 0.3 }
  assert.equal(shrunk({ ...evidence, positives: 5 }, 0), 0.9)
  assert.ok(Math.abs(shrunk({ ...evidence, positives: 5 }, Infinity) - 0.3) < 1e-12)
  const few = shrunk({ ...evidence, positives: 5 }, 30)
  const many = shrunk({ ...evidence, positives: 500 }, 30)
  assert.ok(0.3 < few && few < many && many < 0.9)
})

test('on calibrated scores the expected cut of F1 is half of the F1 that it reaches', () => {
  // Lipton, Elkan and Naryanaswamy 2014, theorem 1.
  const random = seededRandom(3)
  const scores = Float32Array.from({ length: 20_000 }, () => random.next() ** 4)
  const targets = Float32Array.from(scores, (score) => (random.next() < score ? 1 : 0))
  const rows = matrix(scores.length, 1, scores)
  const [{ expected } = { expected: NaN }] = thresholdEvidence(
    rows,
    matrix(scores.length, 1, targets),
    f1,
    rows,
  )
  const reached = evaluateScores(rows, matrix(scores.length, 1, targets), ['a'], [expected]).macroF1
  assert.ok(Math.abs(expected - reached / 2) < 0.01, `${expected} and ${reached}`)
})
