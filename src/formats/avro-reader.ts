import { isUtf8 } from 'node:buffer'
import { LabelstreamError } from '../core/errors.ts'
import type { AvroSchema } from './avro-schema.ts'

/** Nesting that no sensible message has; keeps a recursive schema from exhausting the stack. */
const maxDepth = 200

/**
 * Reads one Avro value that fills `bytes` exactly. Records and maps become objects without a prototype,
 * unions their value, int and long a number (a bigint beyond 2^53), bytes and fixed a view.
 *
 * It is our own because bytes from a topic are not to be trusted: avsc (5.7.9) believes a block count and
 * allocates, so that twenty bytes can end the process. Here no more items are read than there are bytes.
 * Throws INPUT_BAD_AVRO, or INPUT_NOT_UTF8 for a string that is not UTF-8; messages hold no content.
 */
export function readAvro(schema: AvroSchema, bytes: Buffer): unknown {
  const cursor = new Cursor(bytes)
  const value = read(schema, cursor, 0)
  if (cursor.position !== bytes.length) {
    throw badAvro(`${String(bytes.length - cursor.position)} bytes are left after the value`)
  }
  return value
}

function badAvro(why: string): LabelstreamError {
  return new LabelstreamError('INPUT_BAD_AVRO', `the Avro value does not fit its schema: ${why}`)
}

function read(schema: AvroSchema, cursor: Cursor, depth: number): unknown {
  if (depth > maxDepth) throw badAvro(`it is nested more than ${String(maxDepth)} deep`)
  cursor.countValue()
  switch (schema.kind) {
    case 'null':
      return null
    case 'boolean':
      return cursor.boolean()
    case 'int':
      return cursor.int()
    case 'long':
      return cursor.long()
    case 'float':
      return cursor.take(4).readFloatLE()
    case 'double':
      return cursor.take(8).readDoubleLE()
    case 'bytes':
      return cursor.take(cursor.length())
    case 'string':
      return cursor.string()
    case 'fixed':
      return cursor.take(schema.sizeBytes)
    case 'enum':
      return at(schema.symbols, cursor.length(), 'enum symbol')
    case 'union':
      return read(at(schema.branches, cursor.length(), 'union branch'), cursor, depth + 1)
    case 'record': {
      const record = emptyObject()
      for (const field of schema.fields) record[field.name] = read(field.type, cursor, depth + 1)
      return record
    }
    case 'array': {
      const items: unknown[] = []
      for (let count = cursor.blockCount(); count > 0; count = cursor.blockCount()) {
        for (let i = 0; i < count; i++) items.push(read(schema.items, cursor, depth + 1))
      }
      return items
    }
    case 'map': {
      const map = emptyObject()
      for (let count = cursor.blockCount(); count > 0; count = cursor.blockCount()) {
        for (let i = 0; i < count; i++) {
          const key = cursor.string()
          map[key] = read(schema.values, cursor, depth + 1)
        }
      }
      return map
    }
  }
}

function emptyObject(): Record<string, unknown> {
  return Object.create(null) as Record<string, unknown>
}

function at<T>(list: readonly T[], index: number, what: string): T {
  const item = list[index]
  if (item === undefined) throw badAvro(`there is no ${what} ${String(index)}`)
  return item
}

class Cursor {
  position = 0
  readonly #bytes: Buffer
  /**
   * Values that may still be read, for those that take no byte: thirty record types that each hold the next one
   * twice would make a billion of an empty message.
   */
  #valuesLeft: number
  /** Items that may still be read. One with a size takes at least a byte; the rest is for items without. */
  #itemsLeft: number

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#itemsLeft = bytes.length + 1_000
    this.#valuesLeft = 4 * bytes.length + 100_000
  }

  countValue(): void {
    this.#valuesLeft--
    if (this.#valuesLeft < 0) throw badAvro('it has far more values than bytes')
  }

  take(sizeBytes: number): Buffer {
    const end = this.position + sizeBytes
    if (end > this.#bytes.length) throw badAvro('it ends too early')
    const taken = this.#bytes.subarray(this.position, end)
    this.position = end
    return taken
  }

  boolean(): boolean {
    const byte = this.#byte()
    if (byte > 1) throw badAvro(`a boolean is ${String(byte)}`)
    return byte === 1
  }

  int(): number {
    const value = this.long()
    if (typeof value === 'bigint' || value !== (value | 0)) throw badAvro('an int is larger than 32 bits')
    return value
  }

  /** Zig-zag varint. */
  long(): number | bigint {
    let low = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte()
      low |= (byte & 0x7f) << shift
      if (byte < 0x80) return (low >>> 1) ^ -(low & 1)
    }
    let wide = BigInt(low)
    for (let shift = 28n; ; shift += 7n) {
      if (shift > 63n) throw badAvro('a long is larger than 64 bits')
      const byte = this.#byte()
      wide |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    const value = BigInt.asIntN(64, (wide >> 1n) ^ -(wide & 1n))
    const asNumber = Number(value)
    return Number.isSafeInteger(asNumber) ? asNumber : value
  }

  /** A length or an index. */
  length(): number {
    const value = this.long()
    if (typeof value === 'bigint' || value < 0) throw badAvro('a length is negative or too large')
    return value
  }

  string(): string {
    const bytes = this.take(this.length())
    if (!isUtf8(bytes)) {
      throw new LabelstreamError('INPUT_NOT_UTF8', 'a string of the Avro value is not valid UTF-8')
    }
    return bytes.toString('utf8')
  }

  /** Items in the next block of an array or map; 0 ends it. A negative count is followed by a size in bytes. */
  blockCount(): number {
    const signed = this.long()
    if (typeof signed === 'bigint') throw badAvro('a block is too large')
    if (signed < 0) this.length()
    const count = Math.abs(signed)
    this.#itemsLeft -= count
    if (this.#itemsLeft < 0) throw badAvro('a block has more items than bytes')
    return count
  }

  #byte(): number {
    const byte = this.#bytes[this.position]
    if (byte === undefined) throw badAvro('it ends too early')
    this.position++
    return byte
  }
}
