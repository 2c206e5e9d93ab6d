import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { LabelstreamError } from '../../src/core/errors.ts'
import { packageRoot } from '../../src/core/paths.ts'
import {
  float16Tensor,
  float32Tensor,
  readSafetensors,
  readSafetensorsMetadata,
  toFloat32,
  writeSafetensors,
} from '../../src/formats/safetensors.ts'
import type { Tensor } from '../../src/formats/safetensors.ts'

/** A file with the given header text and data bytes. */
function fileOf(header: unknown, dataBytes: number): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header))
  const file = new Uint8Array(8 + text.length + dataBytes)
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true)
  file.set(text, 8)
  return file
}

const fails = (code: string, pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof LabelstreamError)
  assert.equal(error.code, code)
  assert.match(error.message, pattern)
  return true
}
const refused = (file: Uint8Array, pattern: RegExp): void => {
  assert.throws(() => readSafetensors(file), fails('MODEL_CORRUPT', pattern))
}

const weights = new Map<string, Tensor>([
  ['second', float32Tensor(Float32Array.from([1, 2, 3, 4, 5, 6]), [2, 3])],
  ['first', float16Tensor(Float32Array.from([0.5, -1]), [2])],
  ['7', float32Tensor(Float32Array.from([9]), [])],
  ['empty', float32Tensor(new Float32Array(0), [0, 5])],
])

test('what was written is read again, in the same order', () => {
  const read = readSafetensors(writeSafetensors(weights))
  assert.deepEqual([...read.keys()], [...weights.keys()])
  for (const [name, { dtype, shape, data }] of weights) {
    assert.equal(read.get(name)?.dtype, dtype)
    assert.deepEqual(read.get(name)?.shape, shape)
    assert.deepEqual([...(read.get(name)?.data ?? [])], [...data])
  }
})

test('the same tensors give the same bytes, and a tensor appended leaves the data before it alone', () => {
  const file = writeSafetensors(weights)
  assert.deepEqual(writeSafetensors(weights), file)
  const longer = writeSafetensors(new Map([...weights, ['head', float32Tensor(new Float32Array(1), [1])]]))
  const dataBytes = 6 * 4 + 2 * 2 + 4
  assert.deepEqual(longer.subarray(-dataBytes - 4, -4), file.subarray(-dataBytes))
})

test('metadata says pt unless told otherwise, and is read apart from the tensors', () => {
  assert.deepEqual(readSafetensorsMetadata(writeSafetensors(weights)), { format: 'pt' })
  assert.deepEqual(readSafetensorsMetadata(writeSafetensors(weights, { by: 'a test' })), { by: 'a test' })
  assert.deepEqual(readSafetensorsMetadata(fileOf({}, 0)), {})
})

test('a file written by the Python library is read without copying', () => {
  const file = readFileSync(join(packageRoot, 'test', 'fixtures', 'bert', 'tiny-gelu', 'model.safetensors'))
  const tensors = readSafetensors(file)
  const bias = tensors.get('classifier.bias')
  assert.ok(bias !== undefined)
  assert.deepEqual(bias.shape, [3])
  assert.equal(bias.data.buffer, file.buffer)
})

test('F32, F16 and BF16 become fp32 at any alignment; integers are refused by name', () => {
  const bytes = new Uint8Array([0, 0x00, 0x3c, 0x00, 0xc0, 0x80, 0x3f, 0x00, 0x00])
  const view = (dtype: Tensor['dtype'], start: number, length: number): Tensor => ({
    dtype,
    shape: [],
    data: bytes.subarray(start, start + length),
  })
  assert.deepEqual([...toFloat32(view('F16', 1, 4), 'w')], [1, -2])
  assert.deepEqual([...toFloat32(view('BF16', 5, 2), 'w')], [1])
  const float = new Uint8Array([9, 9, 0, 0, 0x80, 0x3f]).subarray(2)
  assert.deepEqual([...toFloat32({ dtype: 'F32', shape: [], data: float }, 'w')], [1])
  // Node's Buffer.slice does not copy; an unaligned Buffer once came back unaligned.
  const buffer = Buffer.from([9, 0, 0, 0x80, 0x3f]).subarray(1)
  assert.deepEqual([...toFloat32({ dtype: 'F32', shape: [], data: buffer }, 'w')], [1])
  assert.throws(() => toFloat32(view('I64', 0, 8), 'ids'), fails('MODEL_UNSUPPORTED', /ids is I64/))
})

test('files that are cut off or have an impossible header length are refused', () => {
  refused(new Uint8Array(3), /too few/)
  refused(new Uint8Array(8), /not JSON/)
  refused(fileOf('{}', 0).subarray(0, 9), /longer than the file/)
  const huge = fileOf('{}', 0)
  new DataView(huge.buffer).setBigUint64(0, 2n ** 63n, true)
  refused(huge, /limit of 16 MB/)
  const file = writeSafetensors(weights)
  refused(file.subarray(0, -1), /lies at bytes|end at byte/)
})

test('headers that are not an object of tensors are refused', () => {
  refused(fileOf('[]', 0), /not a JSON object/)
  refused(fileOf('null', 0), /not a JSON object/)
  refused(fileOf('{"w":', 0), /not JSON/)
  refused(fileOf('['.repeat(200_000), 0), /not JSON/)
  refused(fileOf({ w: [] }, 0), /"w" is not described by an object/)
  refused(fileOf({ w: { shape: [], data_offsets: [0, 4] } }, 4), /no dtype/)
  refused(fileOf({ w: { dtype: 'F32', shape: [-1], data_offsets: [0, 4] } }, 4), /list of up to 8 sizes/)
  refused(
    fileOf({ w: { dtype: 'F32', shape: [1, 1, 1, 1, 1, 1, 1, 1, 1], data_offsets: [0, 4] } }, 4),
    /up to 8/,
  )
  refused(fileOf({ w: { dtype: 'F32', shape: 1, data_offsets: [0, 4] } }, 4), /list of up to 8 sizes/)
  refused(fileOf({ w: { dtype: 'F32', shape: [1], data_offsets: [0] } }, 4), /two byte positions/)
  refused(fileOf({ w: { dtype: 'F32', shape: [1], data_offsets: [0, 4, 4] } }, 4), /two byte positions/)
  const unknown = fileOf({ w: { dtype: 'Q4', shape: [1], data_offsets: [0, 4] } }, 4)
  assert.throws(() => readSafetensors(unknown), fails('MODEL_UNSUPPORTED', /"w" is Q4/))
})

test('data that does not fit its description is refused', () => {
  const tensor = (start: number, end: number, shape = [1]) => ({
    dtype: 'F32',
    shape,
    data_offsets: [start, end],
  })
  refused(fileOf({ w: tensor(0, 8) }, 4), /lies at bytes 0 to 8 of 4/)
  refused(fileOf({ w: tensor(4, 0) }, 4), /lies at bytes 4 to 0/)
  refused(fileOf({ w: tensor(0, 4, [2]) }, 4), /has 4 bytes, its shape \[2\] of F32 needs 8/)
  refused(fileOf({ w: tensor(0, 4, [2 ** 40, 2 ** 40]) }, 4), /needs/)
  refused(fileOf({ v: tensor(0, 4), w: tensor(0, 4) }, 4), /starts at byte 0 of the data, where 4/)
  refused(fileOf({ v: tensor(0, 4), w: tensor(8, 12) }, 12), /starts at byte 8 of the data, where 4/)
  refused(fileOf({ w: tensor(0, 4) }, 8), /end at byte 4 of the data, the file at 8/)
})

test('a tensor whose bytes do not fit its shape is not written', () => {
  const wrong = new Map<string, Tensor>([['w', { dtype: 'F16', shape: [3], data: new Uint8Array(4) }]])
  assert.throws(() => writeSafetensors(wrong), fails('MODEL_CORRUPT', /w has 4 bytes.*needs 6/))
})

/** Either a valid result or one of this program's refusals; anything else fails the property. */
function readOrRefuse(file: Uint8Array): void {
  try {
    for (const { data } of readSafetensors(file).values()) assert.ok(data.length <= file.length)
  } catch (error) {
    assert.ok(error instanceof LabelstreamError, String(error))
    assert.ok(!error.message.includes('\n'))
  }
}

test('damaged files are read or refused, never anything else', () => {
  const file = writeSafetensors(weights)
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.nat(file.length),
      (changes, length) => {
        const damaged = file.slice()
        for (const [place, value] of changes) damaged[place] = value
        readOrRefuse(damaged)
        readOrRefuse(damaged.subarray(0, length))
      },
    ),
    { numRuns: 3_000 },
  )
})

test('any JSON as a header is read or refused, never anything else', () => {
  const entry = fc.record(
    {
      dtype: fc.oneof(fc.constantFrom('F32', 'F16', 'I64', 'BOOL'), fc.jsonValue()),
      shape: fc.oneof(fc.array(fc.integer({ min: -1, max: 5 }), { maxLength: 3 }), fc.jsonValue()),
      data_offsets: fc.oneof(fc.tuple(fc.nat(40), fc.nat(40)), fc.jsonValue()),
    },
    { requiredKeys: [] },
  )
  const header = fc.oneof(fc.dictionary(fc.string(), fc.oneof(entry, fc.jsonValue())), fc.jsonValue())
  fc.assert(
    fc.property(header, fc.nat(64), (json, dataBytes) => {
      readOrRefuse(fileOf(JSON.stringify(json), dataBytes))
    }),
    { numRuns: 2_000 },
  )
})
