import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headParameters } from '../../src/encoders/weights.ts'
import { matrix } from '../../src/evaluation/matrix.ts'
import { initialHead, positiveWeights } from '../../src/train/initial-head.ts'
import { headConfig } from '../support/head-config.ts'

const targets = matrix(4, 3, Float32Array.of(1, 0, NaN, 0, 0, NaN, 0, 0, NaN, 0, NaN, NaN))

test("a new classifier starts at the labels' log-odds, finite for labels without positives or known rows", () => {
  const bias = initialHead(headParameters(headConfig(8, ['a', 'b', 'c'])), targets, 1).get('classifier.bias')
  assert.deepEqual(
    Array.from(bias ?? [], (value) => value.toFixed(4)),
    [Math.log(1.5 / 3.5), Math.log(0.5 / 3.5), 0].map((value) => value.toFixed(4)),
  )
})

test('weights are small, of both signs, and those of the seed', () => {
  const shapes = headParameters(headConfig(8, ['a', 'b', 'c'], [16]))
  const head = initialHead(shapes, targets, 1)
  for (const [name, shape] of shapes) {
    const values = head.get(name) ?? new Float32Array(0)
    assert.equal(
      values.length,
      shape.reduce((product, size) => product * size, 1),
    )
    if (!name.endsWith('.weight')) continue
    assert.ok(Math.min(...values) < 0 && Math.max(...values) > 0 && Math.max(...values) < 1, name)
  }
  assert.deepEqual(initialHead(shapes, targets, 1), head)
  assert.notDeepEqual(initialHead(shapes, targets, 2), head)
})

test('positives weigh by the odds of negatives to a power, and nothing at 0', () => {
  assert.deepEqual([...positiveWeights(targets, 0)], [1, 1, 1])
  assert.deepEqual(
    [...positiveWeights(targets, 1)].map((weight) => weight.toFixed(3)),
    [(3.5 / 1.5).toFixed(3), '7.000', '1.000'],
  )
})
