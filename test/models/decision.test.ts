import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import {
  changesScores,
  decide,
  parseDecision,
  plainDecision,
  uncalibratedScores,
} from '../../src/models/decision.ts'

test('decided labels come highest score first, each against its own threshold', () => {
  const plain = plainDecision(['a', 'b', 'c'])
  const decision = {
    ...plain,
    labels: plain.labels.map((row) => (row.label === 'b' ? { ...row, threshold: 0.99 } : row)),
  }
  const { scores, decided } = decide(decision, Float32Array.of(0, 3, 2))
  assert.deepEqual(decided, ['c', 'a'])
  assert.equal(scores[0], 0.5)
})

test('a score is calibrated by slope and intercept of its logit', () => {
  const plain = plainDecision(['a'])
  const calibrator = { slope: 2, intercept: -1 }
  const decision = { ...plain, labels: plain.labels.map((row) => ({ ...row, calibrator })) }
  assert.equal(decide(decision, Float32Array.of(0.5)).scores[0], 0.5)
  assert.equal(changesScores(decision), true)
  assert.equal(changesScores(plain), false)
  assert.equal(uncalibratedScores(Float32Array.of(0))[0], 0.5)
})

test('a text can have no label, and a score on the threshold is a decision', () => {
  assert.deepEqual(decide(plainDecision(['a']), Float32Array.of(-1)).decided, [])
  assert.deepEqual(decide(plainDecision(['a']), Float32Array.of(0)).decided, ['a'])
})

test('decision.json survives writing and reading; a bad one is refused with the place', () => {
  const decision = plainDecision(['a', 'b'], 0.4)
  assert.deepEqual(parseDecision(JSON.stringify(decision), 'd'), decision)
  const bad = (change: object) => JSON.stringify({ ...decision, ...change })
  for (const text of [
    '{',
    bad({ labels: [] }),
    bad({ labels: [...decision.labels, ...decision.labels] }),
    bad({ labels: [{ ...decision.labels[0], threshold: 2 }] }),
    bad({ format: 2 }),
  ]) {
    assert.throws(
      () => parseDecision(text, 'folder/decision.json'),
      (error) => error instanceof LabelstreamError && /^folder\/decision\.json: /.test(error.message),
    )
  }
})
