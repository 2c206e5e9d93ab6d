import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { simdArithmetic } from '../../src/train/simd-arithmetic.ts'
import { type VectorArithmetic, plainArithmetic } from '../../src/train/vector-arithmetic.ts'

/** With ends that are no whole vector, and none at all. */
const lengths = [0, 1, 3, 4, 7, 16, 1_003]

/** The same numbers in arrays of both, large and small, the second moment positive. */
function arraysOf(arithmetic: VectorArithmetic, length: number): Record<'x' | 'm' | 'v' | 'g', Float32Array> {
  const random = seededRandom(length)
  const filled = (next: () => number): Float32Array => {
    const array = arithmetic.array(length)
    array.forEach((_, i) => (array[i] = next() * 10 ** (random.next() * 8 - 6)))
    return array
  }
  return {
    x: filled(() => random.normal()),
    m: filled(() => random.normal()),
    v: filled(() => random.next()),
    g: filled(() => random.normal()),
  }
}

const operations: Record<
  string,
  (arithmetic: VectorArithmetic, arrays: ReturnType<typeof arraysOf>) => void
> = {
  adamW: (arithmetic, { x, m, v, g }) => {
    const scalars = { clip: 0.37, keep: 0.9991, rate: 1.3e-3, epsilon: 3e-9 }
    arithmetic.adamW({ values: x, first: m, second: v, gradients: g }, scalars)
  },
  drift: (arithmetic, { x, m, v }) => {
    const scalars = { kept: 0.998, push: 2.1e-3, epsilon: 1e-8, first: 0.59, second: 0.995 }
    arithmetic.drift({ values: x, first: m, second: v }, scalars)
  },
  add: (arithmetic, { x, g }) => {
    arithmetic.add(x, g)
  },
  blend: (arithmetic, { x, g }) => {
    arithmetic.blend(x, g, 0.96)
  },
}

for (const [name, operation] of Object.entries(operations)) {
  test(`${name} by vectors gives the bits of one number after the other`, async () => {
    const numbers = 4 * lengths.reduce((sum, length) => sum + length, 0)
    const simd = await simdArithmetic({ numbers, arrays: 4 * lengths.length })
    assert.ok(simd !== undefined)
    for (const length of lengths) {
      const expected = arraysOf(plainArithmetic, length)
      const actual = arraysOf(simd, length)
      const before = Float32Array.from(actual.x)
      operation(plainArithmetic, expected)
      operation(simd, actual)
      assert.deepEqual(actual, expected)
      if (length > 0) assert.notDeepEqual(actual.x, before)
    }
  })
}

test('a view is computed alone, and the norm is that of 64-bit numbers', async () => {
  const simd = await simdArithmetic({ numbers: 200, arrays: 2 })
  assert.ok(simd !== undefined)
  const [total, more] = [simd.array(100), simd.array(100)]
  more.fill(3)
  simd.add(total.subarray(5, 18), more.subarray(20, 33))
  assert.deepEqual(
    [...total.keys()].filter((i) => total[i] !== 0),
    Array.from({ length: 13 }, (_, i) => i + 5),
  )
  assert.equal(simd.squaredNorm(total.subarray(0, 11)), 6 * 9)
  total.fill(1e-3)
  total[0] = 4_096
  const exact = 4_096 ** 2 + 99 * Math.fround(1e-3) ** 2
  assert.ok(Math.abs(simd.squaredNorm(total) - exact) < 1e-7)
})

test('arrays of another memory or length are refused, and so is what 32-bit addresses do not reach', async () => {
  const simd = await simdArithmetic({ numbers: 32, arrays: 2 })
  assert.ok(simd !== undefined)
  const own = simd.array(8)
  assert.throws(() => {
    simd.add(own, new Float32Array(8))
  }, RangeError)
  assert.throws(() => {
    simd.add(own, simd.array(4))
  }, RangeError)
  assert.equal(await simdArithmetic({ numbers: 2 ** 30 + 1, arrays: 1 }), undefined)
})
