import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { confusedPairs, labelConfusion } from '../../src/evaluation/label-confusion.ts'
import { matrix } from '../../src/evaluation/matrix.ts'

const of = (rows: readonly (readonly number[])[]) =>
  matrix(rows.length, rows[0]?.length ?? 0, Float32Array.from(rows.flat()))
const thresholds = [0.5, 0.5, 0.5]

test('a missed label is counted against the labels decided wrongly in its text, else against nothing', () => {
  const targets = [
    [1, 0, 0],
    [1, 0, 0],
    [1, 0, 0],
    [1, 1, 0],
    [NaN, 0.6, 0.4],
  ]
  const scores = [
    [0.9, 0.9, 0.1], // found, however wrong the rest
    [0.1, 0.1, 0.1],
    [0.1, 0.9, 0.9], // two wrong labels share the miss
    [0.1, 0.1, 0.9],
    [0.9, 0.1, 0.9], // an unknown label is not wrong
  ]
  const confusion = labelConfusion(of(scores), of(targets), thresholds)
  assert.deepEqual(confusion, [
    {
      positives: 4,
      found: 1,
      nothing: 1,
      instead: new Map([
        [1, 0.5],
        [2, 1.5],
      ]),
    },
    { positives: 2, found: 0, nothing: 0, instead: new Map([[2, 2]]) },
    { positives: 0, found: 0, nothing: 0, instead: new Map() },
  ])
  assert.deepEqual(confusedPairs(confusion), [
    { missed: 1, instead: 2, rows: 2, share: 1 },
    { missed: 0, instead: 2, rows: 1.5, share: 0.375 },
    { missed: 0, instead: 1, rows: 0.5, share: 0.125 },
  ])
})

test('every label accounts for each of its positives, and nothing is confused where all is right', () => {
  const row = fc.array(fc.tuple(fc.boolean(), fc.double({ min: 0, max: 1, noNaN: true })), {
    minLength: 4,
    maxLength: 4,
  })
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), (rows) => {
      const targets = of(rows.map((cells) => cells.map(([given]) => Number(given))))
      const scores = of(rows.map((cells) => cells.map(([, score]) => score)))
      const confusion = labelConfusion(scores, targets, [0.5, 0.5, 0.5, 0.5])
      confusion.forEach(({ positives, found, nothing, instead }, column) => {
        const given = rows.filter((cells) => cells[column]?.[0] === true).length
        const counted = [...instead.values()].reduce((sum, part) => sum + part, found + nothing)
        assert.equal(positives, given)
        assert.ok(Math.abs(counted - given) < 1e-9)
        assert.ok(!instead.has(column))
      })
      assert.deepEqual(confusedPairs(labelConfusion(targets, targets, [0.5, 0.5, 0.5, 0.5])), [])
    }),
  )
})
