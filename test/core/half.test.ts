import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  bfloatsToFloats,
  floatToHalf,
  floatsToHalves,
  halfToFloat,
  halvesToFloats,
} from '../../src/core/half.ts'

const allHalves = Uint16Array.from({ length: 65_536 }, (_, bits) => bits)
/** Bit patterns of +0 up to the largest finite half, in the order of their values. */
const finite = allHalves.subarray(0, 0x7c00)

test('every half survives the way to fp32 and back, NaN as NaN', () => {
  const there = halvesToFloats(allHalves)
  const back = floatsToHalves(there)
  for (const bits of allHalves) {
    if (Number.isNaN(there[bits])) assert.equal((back[bits] ?? 0) & 0x7fff, 0x7e00)
    else assert.equal(back[bits], bits)
  }
})

test('known halves have their values', () => {
  const known: [number, number][] = [
    [0x0000, 0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3555, 0.333251953125],
    [0x3c00, 1],
    [0xc000, -2],
    [0x7bff, 65_504],
    [0x7c00, Infinity],
    [0xfc00, -Infinity],
  ]
  for (const [bits, value] of known) {
    assert.equal(halfToFloat(bits), value)
    assert.equal(floatToHalf(value), bits)
  }
  assert.equal(floatToHalf(-0), 0x8000)
  assert.ok(Object.is(halfToFloat(0x8000), -0))
})

test('halfway between two halves goes to the even one, a hair beside it to the nearer one', () => {
  for (let bits = 0; bits < finite.length - 1; bits++) {
    const [low, high] = [halfToFloat(bits), halfToFloat(bits + 1)]
    const middle = (low + high) / 2
    const hair = middle * 2 ** -22
    assert.equal(floatToHalf(middle), bits % 2 === 0 ? bits : bits + 1)
    assert.equal(floatToHalf(middle - hair), bits)
    assert.equal(floatToHalf(middle + hair), bits + 1)
  }
})

test('from 65,520 on a number rounds to infinity', () => {
  assert.equal(floatToHalf(65_519.99), 0x7bff)
  assert.equal(floatToHalf(65_520), 0x7c00)
  assert.equal(floatToHalf(-1e30), 0xfc00)
})

test('no half is nearer to a number than the one it is rounded to', () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, min: -65_504, max: 65_504 }), (value) => {
      const bits = floatToHalf(value)
      const distance = Math.abs(halfToFloat(bits) - value)
      const magnitude = bits & 0x7fff
      for (const other of [magnitude - 1, magnitude + 1]) {
        if (other < 0 || other >= 0x7c00) continue
        assert.ok(Math.abs(halfToFloat(other | (bits & 0x8000)) - value) >= distance)
      }
    }),
    { numRuns: 5_000 },
  )
})

test('a bfloat16 is the upper half of an fp32', () => {
  const floats = bfloatsToFloats(Uint16Array.from([0x3f80, 0xc000, 0x7f80, 0x0000, 0x3eab]))
  assert.deepEqual([...floats], [1, -2, Infinity, 0, 0.333984375])
})
