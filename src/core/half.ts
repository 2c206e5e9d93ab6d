/**
 * IEEE 754 binary16 ("fp16") and bfloat16 as bit patterns, to and from binary32.
 * JavaScript has no half type before ES2025's Float16Array, so halves travel as Uint16Array.
 */

const scratch = new DataView(new ArrayBuffer(4))

/** The number that an fp16 bit pattern (0..65535) stands for. Exact; every NaN becomes the quiet NaN. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >>> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** The fp16 bit pattern nearest to `value` as fp32; ties go to even, from 65,520 up to infinity. */
export function floatToHalf(value: number): number {
  scratch.setFloat32(0, value)
  return halfOfBits(scratch.getUint32(0))
}

/** Fp16 bit patterns to fp32. Exact. */
export function halvesToFloats(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const table = halfTable()
  const floats = new Float32Array(halves.length)
  for (let i = 0; i < halves.length; i++) floats[i] = table[halves[i] as number] as number
  return floats
}

/** Fp32 to fp16 bit patterns, each rounded to the nearest, ties to even. */
export function floatsToHalves(floats: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length)
  const halves = new Uint16Array(floats.length)
  for (let i = 0; i < bits.length; i++) halves[i] = halfOfBits(bits[i] as number)
  return halves
}

/** Bfloat16 bit patterns to fp32. Exact: a bfloat16 is the upper half of an fp32. */
export function bfloatsToFloats(bfloats: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(bfloats.length)
  for (let i = 0; i < bits.length; i++) bits[i] = (bfloats[i] as number) << 16
  return new Float32Array(bits.buffer)
}

function halfOfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fff_ffff
  if (magnitude > 0x7f80_0000) return sign | 0x7e00
  if (magnitude >= 0x477f_f000) return sign | 0x7c00
  if (magnitude < 0x3880_0000) return sign | subnormalHalf(magnitude)
  const rebased = magnitude - 0x3800_0000
  return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13)
}

/** Below 2^-14 an fp16 counts steps of 2^-24; 1,024 steps are the smallest normal number's bit pattern. */
function subnormalHalf(magnitude: number): number {
  scratch.setUint32(0, magnitude)
  const steps = scratch.getFloat32(0) * 2 ** 24
  const below = Math.floor(steps)
  const rest = steps - below
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below
}

let cachedTable: Float32Array | undefined

/** All 65,536 values: a look-up is several times faster than arithmetic for whole models. */
function halfTable(): Float32Array {
  cachedTable ??= Float32Array.from({ length: 65_536 }, (_, bits) => halfToFloat(bits))
  return cachedTable
}
