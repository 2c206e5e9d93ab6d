import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'

test('the same seed gives the same numbers, another seed gives others', () => {
  const draw = (seed: number) => Array.from({ length: 5 }, seededRandom(seed).next)
  assert.deepEqual(draw(7), draw(7))
  assert.notDeepEqual(draw(7), draw(8))
})

test('integers are uniform below their bound and normals have mean 0 and variance 1', () => {
  const random = seededRandom(1)
  const counts = new Array<number>(10).fill(0)
  for (let draw = 0; draw < 100_000; draw++) counts[random.integer(10)]! += 1
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 500, `count ${count}`)

  const normals = Array.from({ length: 100_000 }, random.normal)
  const mean = normals.reduce((sum, x) => sum + x, 0) / normals.length
  const variance = normals.reduce((sum, x) => sum + (x - mean) ** 2, 0) / normals.length
  assert.ok(Math.abs(mean) < 0.02)
  assert.ok(Math.abs(variance - 1) < 0.03)
})

test('shuffle keeps every item', () => {
  const items = Array.from({ length: 50 }, (_, index) => index)
  const shuffled = seededRandom(3).shuffle([...items])
  assert.notDeepEqual(shuffled, items)
  assert.deepEqual(
    shuffled.sort((a, b) => a - b),
    items,
  )
})
