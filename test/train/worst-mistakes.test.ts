import assert from 'node:assert/strict'
import { test } from 'node:test'
import { matrix } from '../../src/evaluation/matrix.ts'
import { worstMistakes } from '../../src/train/worst-mistakes.ts'

const labels = ['cat', 'dog']
const rowOf = (id: string, ...targets: number[]) => ({
  id,
  text: 'a secret',
  targets: Float32Array.from(targets),
})

test('rows that were decided wrongly come by their loss, each label with its score, and without the text', () => {
  const dataset = {
    labels,
    rows: [
      rowOf('right', 1, 0),
      rowOf('mild', 1, 0),
      rowOf('bad', 0, 1),
      rowOf('unknown', NaN, 1),
      rowOf('certain', 1, 1),
    ],
  }
  const scores = matrix(5, 2, Float32Array.of(0.75, 0.25, 0.25, 0.25, 0.75, 0.125, 1, 0.75, 0, 0.75))
  const mistakes = worstMistakes(dataset, scores, [0.5, 0.5])
  assert.deepEqual(
    mistakes.map(({ id }) => id),
    ['certain', 'bad', 'mild'],
  )
  assert.ok(
    mistakes.every(({ loss }) => Number.isFinite(loss)),
    'a score of 0 has a finite loss',
  )
  assert.ok(Math.abs((mistakes[1]?.loss ?? 0) + Math.log(0.25) + Math.log(0.125)) < 1e-6)
  const { missed, wrong, right } = mistakes[1] ?? assert.fail()
  assert.deepEqual(missed, [{ label: 'dog', score: 0.125, target: 1 }])
  assert.deepEqual(wrong, [{ label: 'cat', score: 0.75, target: 0 }])
  assert.deepEqual(right, [])
  assert.doesNotMatch(JSON.stringify(mistakes), /secret/)
  assert.equal(worstMistakes(dataset, scores, [0.5, 0.5], 1).length, 1)
})
