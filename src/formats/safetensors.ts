import { bfloatsToFloats, floatsToHalves, halvesToFloats } from '../core/half.ts'
import { LabelstreamError, messageOf } from '../core/errors.ts'

/** Bytes per element of the types a file may hold. */
const elementBytes = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const

export type Dtype = keyof typeof elementBytes

/** One array of a file, row-major and little-endian. `data` is a view into the bytes it was read from. */
export interface Tensor {
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly data: Uint8Array
}

const lengthBytes = 8
/** The format allows 100 MB, which parsed take more than a gigabyte; 16 MB describe a hundred thousand tensors. */
const maxHeaderBytes = 16_000_000
const maxRank = 8

const corrupt = (message: string, cause?: unknown): LabelstreamError =>
  new LabelstreamError('MODEL_CORRUPT', `safetensors: ${message}`, { cause })

/**
 * The arrays of a safetensors file, in the order of their data, without copying them. The format: a 64-bit
 * header length, a JSON header (here at most 16 MB) with dtype, shape and offsets, then the data without holes or
 * overlaps (https://huggingface.co/docs/safetensors). Throws MODEL_CORRUPT when anything does not fit, and
 * MODEL_UNSUPPORTED for an element type this program does not know.
 */
export function readSafetensors(bytes: Uint8Array): Map<string, Tensor> {
  const dataStart = lengthBytes + headerLength(bytes)
  const data = bytes.subarray(dataStart)
  const entries = Object.entries(parseHeader(bytes.subarray(lengthBytes, dataStart)))
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => readEntry(name, value, data.length))
    .sort((a, b) => a.start - b.start || a.end - b.end)

  const tensors = new Map<string, Tensor>()
  let expectedStart = 0
  for (const { name, dtype, shape, start, end } of entries) {
    if (start !== expectedStart) {
      throw corrupt(
        `tensor ${name} starts at byte ${start} of the data, where ${expectedStart} would be right`,
      )
    }
    tensors.set(name, { dtype, shape, data: data.subarray(start, end) })
    expectedStart = end
  }
  if (expectedStart !== data.length) {
    throw corrupt(`the tensors end at byte ${expectedStart} of the data, the file at ${data.length}`)
  }
  return tensors
}

/** The free-form strings a file's writer left in the header. Throws as `readSafetensors`. */
export function readSafetensorsMetadata(bytes: Uint8Array): Record<string, string> {
  const header = parseHeader(bytes.subarray(lengthBytes, lengthBytes + headerLength(bytes)))
  const metadata = header['__metadata__']
  if (metadata === undefined) return {}
  if (!isRecord(metadata)) throw corrupt('__metadata__ is not an object')
  return Object.fromEntries(
    Object.entries(metadata).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

/**
 * The file's bytes. Tensors are laid out in the map's order, so the same map gives the same bytes, and a file
 * with tensors appended keeps the earlier data as it was. `format: pt` is what transformers asks for.
 * Throws MODEL_CORRUPT when a tensor's data does not have the size of its dtype and shape.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): Uint8Array<ArrayBuffer> {
  const header: [string, unknown][] = [['__metadata__', metadata]]
  let dataBytes = 0
  for (const [name, { dtype, shape, data }] of tensors) {
    const expected = elementCount(shape) * elementBytes[dtype]
    if (data.length !== expected) {
      throw corrupt(
        `tensor ${name} has ${data.length} bytes, its shape [${shape.join(', ')}] of ${dtype} needs ${expected}`,
      )
    }
    header.push([name, { dtype, shape, data_offsets: [dataBytes, dataBytes + data.length] }])
    dataBytes += data.length
  }
  // Not built as an object: keys that look like numbers would change places.
  const json = `{${header.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`
  const unpadded = new TextEncoder().encode(json)
  const headerBytes = Math.ceil(unpadded.length / 8) * 8
  const file = new Uint8Array(lengthBytes + headerBytes + dataBytes)
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true)
  file.fill(0x20, lengthBytes, lengthBytes + headerBytes)
  file.set(unpadded, lengthBytes)
  let position = lengthBytes + headerBytes
  for (const { data } of tensors.values()) {
    file.set(data, position)
    position += data.length
  }
  return file
}

/**
 * A tensor's values as fp32; a view where it is F32 and aligned, else a copy. Throws MODEL_UNSUPPORTED for
 * element types that are not floating point of at most 32 bits.
 */
export function toFloat32(tensor: Tensor, name: string): Float32Array {
  const { dtype, data } = tensor
  if (dtype === 'F16') return halvesToFloats(asUint16(data))
  if (dtype === 'BF16') return bfloatsToFloats(asUint16(data))
  if (dtype === 'F32') {
    const bytes = aligned(data, 4)
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
  }
  throw new LabelstreamError(
    'MODEL_UNSUPPORTED',
    `tensor ${name} is ${dtype}; weights must be F32, F16 or BF16`,
  )
}

/** An F32 tensor over the values, without copying. */
export function float32Tensor(values: Float32Array, shape: readonly number[]): Tensor {
  return { dtype: 'F32', shape, data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) }
}

/** An F16 tensor of the values, each rounded to the nearest half, ties to even. */
export function float16Tensor(values: Float32Array, shape: readonly number[]): Tensor {
  return { dtype: 'F16', shape, data: new Uint8Array(floatsToHalves(values).buffer) }
}

function headerLength(bytes: Uint8Array): number {
  if (bytes.length < lengthBytes) throw corrupt(`${bytes.length} bytes are too few for a header`)
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)
  if (length > BigInt(maxHeaderBytes)) throw corrupt(`a header of ${length} bytes is over the limit of 16 MB`)
  if (Number(length) > bytes.length - lengthBytes) {
    throw corrupt(`the header of ${length} bytes is longer than the file of ${bytes.length}`)
  }
  return Number(length)
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  let header: unknown
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw corrupt(`the header is not JSON (${messageOf(error).slice(0, 100)})`, error)
  }
  if (!isRecord(header)) throw corrupt('the header is not a JSON object')
  return header
}

interface Entry {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly start: number
  readonly end: number
}

function readEntry(rawName: string, value: unknown, dataBytes: number): Entry {
  const name = JSON.stringify(rawName.slice(0, 100))
  if (!isRecord(value)) throw corrupt(`tensor ${name} is not described by an object`)
  const dtype = readDtype(name, value['dtype'])
  const shape = value['shape']
  if (!isSizes(shape) || shape.length > maxRank) {
    throw corrupt(`tensor ${name} has a shape that is not a list of up to ${maxRank} sizes`)
  }
  const offsets = value['data_offsets']
  if (!isSizes(offsets)) throw corrupt(`tensor ${name} has data_offsets that are not two byte positions`)
  const [start, end, more] = offsets
  if (start === undefined || end === undefined || more !== undefined) {
    throw corrupt(`tensor ${name} has data_offsets that are not two byte positions`)
  }
  if (start > end || end > dataBytes) {
    throw corrupt(`tensor ${name} lies at bytes ${start} to ${end} of ${dataBytes}`)
  }
  const expected = elementCount(shape) * elementBytes[dtype]
  if (end - start !== expected) {
    throw corrupt(
      `tensor ${name} has ${end - start} bytes, its shape [${shape.join(', ')}] of ${dtype} needs ${expected}`,
    )
  }
  return { name: rawName, dtype, shape, start, end }
}

function readDtype(name: string, dtype: unknown): Dtype {
  if (typeof dtype !== 'string') throw corrupt(`tensor ${name} has no dtype`)
  if (!Object.hasOwn(elementBytes, dtype)) {
    throw new LabelstreamError(
      'MODEL_UNSUPPORTED',
      `safetensors: tensor ${name} is ${dtype.slice(0, 20)}; known are ${Object.keys(elementBytes).join(', ')}`,
    )
  }
  return dtype as Dtype
}

const elementCount = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1)

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0)

/** Typed arrays start at multiples of their element size; a file's data need not. */
const aligned = (bytes: Uint8Array, size: number): Uint8Array =>
  bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes)

function asUint16(data: Uint8Array): Uint16Array {
  const bytes = aligned(data, 2)
  return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2)
}
