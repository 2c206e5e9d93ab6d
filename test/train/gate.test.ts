import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { matrix } from '../../src/evaluation/matrix.ts'
import { compareWithChampion } from '../../src/train/gate.ts'

const rows = 200
const random = seededRandom(8)
const targets = matrix(
  rows,
  1,
  Float32Array.from({ length: rows }, () => random.integer(2)),
)
/** Scores that are right on all but `wrong` rows from `start` on. */
const contender = (wrong: number, start = 0) => ({
  scores: matrix(
    rows,
    1,
    targets.values.map((target, row) => (row >= start && row < start + wrong ? 1 - target : target)),
  ),
  thresholds: [0.5],
})

test('a candidate that is clearly worse does not pass, and the reason has the figures', () => {
  const { passed, reasons } = compareWithChampion(contender(40), contender(0), targets, 1)
  assert.equal(passed, false)
  assert.match(reasons.join(), /significantly worse: macro-F1 -0\.\d+ against the champion on 200 rows/)
})

test('a candidate that is better, equal, or worse by chance passes', () => {
  for (const candidate of [contender(0), contender(10), contender(10, 100), contender(11, 100)]) {
    assert.equal(compareWithChampion(candidate, contender(10), targets, 1).passed, true)
  }
})

test('the comparison is the same for the same seed', () => {
  const compare = () => compareWithChampion(contender(20), contender(15, 50), targets, 3)
  assert.deepEqual(compare(), compare())
})
