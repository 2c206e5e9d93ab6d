import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AuditSample } from '../../src/stream/audit-sample.ts'

function drawn(size: number, seed: number, inputs: number, partitions = 3): string[] {
  const sample = new AuditSample(size, seed)
  const all = Array.from({ length: inputs }, (_, index) => [
    index % partitions,
    Math.floor(index / partitions),
  ])
  for (const [partition = 0, offset = 0] of all) sample.offer(partition, offset)
  return all
    .filter(([partition = 0, offset = 0]) => sample.has(partition, offset))
    .map((place) => place.join('/'))
}

test('as many as asked for are drawn, all where there are fewer, none where none is wanted', () => {
  assert.equal(drawn(200, 0, 100_000).length, 200)
  assert.equal(drawn(200, 0, 50).length, 50)
  assert.equal(drawn(Infinity, 0, 50).length, 50)
  assert.deepEqual(drawn(0, 0, 50), [])
  assert.deepEqual(drawn(10, 0, 0), [])
})

test('the same seed draws the same, another seed others; the order of the offers does not matter', () => {
  assert.deepEqual(drawn(100, 7, 10_000), drawn(100, 7, 10_000))
  const others = new Set(drawn(100, 8, 10_000))
  assert.ok(drawn(100, 7, 10_000).filter((place) => others.has(place)).length < 20)
  const sample = new AuditSample(100, 7)
  for (let index = 9_999; index >= 0; index--) sample.offer(index % 3, Math.floor(index / 3))
  for (const place of drawn(100, 7, 10_000)) {
    const [partition = 0, offset = 0] = place.split('/').map(Number)
    assert.ok(sample.has(partition, offset))
  }
})

test('the draw is even over partitions and offsets', () => {
  const places = drawn(6_000, 1, 60_000, 2).map((place) => place.split('/').map(Number))
  const parts = new Array<number>(20).fill(0)
  for (const [partition = 0, offset = 0] of places) {
    const part = partition * 10 + Math.floor(offset / 3_000)
    parts[part] = (parts[part] ?? 0) + 1
  }
  // 300 expected in each, standard deviation 16.4: five of them
  for (const count of parts) assert.ok(Math.abs(count - 300) < 82, parts.join(' '))
})
