import { canonicalForm, type AvroSchema } from './avro-schema.ts'

/** Magic 0xC3 0x01, then the schema's fingerprint in little-endian order. */
const headerBytes = 10

const emptyFingerprint = 0xc15d213aa4d7a795n

const fingerprintTable: readonly bigint[] = Array.from({ length: 256 }, (_, byte) => {
  let value = BigInt(byte)
  for (let bit = 0; bit < 8; bit++) value = (value >> 1n) ^ (emptyFingerprint & -(value & 1n))
  return value
})

/** CRC-64-AVRO (Rabin) of a string's UTF-8 bytes. Source: Avro 1.12 specification, "Schema Fingerprints". */
export function rabinFingerprint(text: string): bigint {
  let value = emptyFingerprint
  for (const byte of Buffer.from(text, 'utf8')) {
    value = (value >> 8n) ^ (fingerprintTable[Number((value ^ BigInt(byte)) & 0xffn)] ?? 0n)
  }
  return value
}

/** The fingerprint of a schema: CRC-64-AVRO of its Parsing Canonical Form, 16 hexadecimal digits. */
export function schemaFingerprint(schema: AvroSchema): string {
  return rabinFingerprint(canonicalForm(schema)).toString(16).padStart(16, '0')
}

/** The ten bytes in front of every value of this schema. Source: Avro 1.12, "Single-object encoding". */
export function singleObjectHeader(schema: AvroSchema): Buffer {
  const header = Buffer.alloc(headerBytes)
  header.writeUInt16BE(0xc301)
  header.writeBigUInt64LE(BigInt(`0x${schemaFingerprint(schema)}`), 2)
  return header
}

/** Fingerprint and payload of a value in single-object encoding; undefined when it does not start like one. */
export function splitSingleObject(value: Buffer): { fingerprint: string; payload: Buffer } | undefined {
  if (value.length < headerBytes || value[0] !== 0xc3 || value[1] !== 0x01) return undefined
  return {
    fingerprint: value.readBigUInt64LE(2).toString(16).padStart(16, '0'),
    payload: value.subarray(headerBytes),
  }
}
