const headerBytes = 5

/** The five bytes in front of every value: 0x00 and the schema's id in the registry, big-endian. */
export function confluentHeader(schemaId: number): Buffer {
  const header = Buffer.alloc(headerBytes)
  header.writeInt32BE(schemaId, 1)
  return header
}

/** Schema id and payload of a value in Confluent's wire format; undefined when it does not start like one. */
export function splitConfluent(value: Buffer): { id: number; payload: Buffer } | undefined {
  if (value.length < headerBytes || value[0] !== 0) return undefined
  const id = value.readInt32BE(1)
  return id <= 0 ? undefined : { id, payload: value.subarray(headerBytes) }
}
