import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addSizes, broadcast, divide, multiply, normalAxis } from '../../src/graph/shape.ts'
import type { Dimension } from '../../src/graph/shape.ts'

test('equal products have one name, whatever the order of their factors', () => {
  assert.equal(multiply('sequence', 4, 'batch'), '4*batch*sequence')
  assert.equal(multiply('batch*sequence', 2, 2), '4*batch*sequence')
  assert.equal(multiply(3, 5), 15)
  assert.equal(multiply(), 1)
  assert.equal(multiply('batch', 0), 0)
})

test('division is exact or undefined', () => {
  assert.equal(divide('12*batch*sequence', 'batch'), '12*sequence')
  assert.equal(divide('12*batch*sequence', '4*sequence'), '3*batch')
  assert.equal(divide('batch', 'batch'), 1)
  assert.equal(divide('2*batch', 4), undefined)
  assert.equal(divide('batch', 'sequence'), undefined)
  assert.equal(divide(6, 0), undefined)
})

test('sums of symbols are atoms that products leave whole', () => {
  const sum = addSizes(multiply('batch', 2), 'sequence')
  assert.equal(sum, '(2*batch+sequence)')
  assert.equal(divide(multiply(sum, 6), sum), 6)
  assert.equal(addSizes(0, 'batch'), 'batch')
  assert.equal(addSizes(2, 3), 5)
})

test('a product divided by one of its factors is the product of the others', () => {
  const size = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constantFrom('batch', 'sequence', '(batch+1)'))
  fc.assert(
    fc.property(fc.array(size, { minLength: 1, maxLength: 5 }), (sizes: Dimension[]) => {
      const [first = 1, ...others] = sizes
      assert.equal(divide(multiply(...sizes), first), multiply(...others))
    }),
  )
})

test('shapes broadcast as in NumPy; different symbols do not', () => {
  assert.deepEqual(broadcast(['batch', 1, 4], ['sequence', 1]), ['batch', 'sequence', 4])
  assert.deepEqual(broadcast([], ['batch']), ['batch'])
  assert.deepEqual(broadcast([3], [3]), [3])
  assert.throws(() => broadcast(['batch'], ['sequence']), /\[batch\] and \[sequence\] do not broadcast/)
  assert.throws(() => broadcast([2], [3]), /do not broadcast/)
  assert.throws(() => broadcast(['batch'], [2]), /do not broadcast/)
})

test('axes count from either end and stay inside', () => {
  assert.equal(normalAxis(-1, 3), 2)
  assert.equal(normalAxis(1, 3), 1)
  assert.throws(() => normalAxis(3, 3), /axis 3 is outside of rank 3/)
  assert.throws(() => normalAxis(-4, 3), /outside/)
})
