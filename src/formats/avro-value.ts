import { LabelstreamError } from '../core/errors.ts'
import { readAvro } from './avro-reader.ts'
import type { AvroSchema } from './avro-schema.ts'
import { splitConfluent } from './confluent.ts'
import type { SchemaRegistry } from './registry.ts'
import { readSchemaFolders, schemasFolder } from './schema-files.ts'
import { splitSingleObject } from './single-object.ts'

/** Where the schemas come from that framed Avro values were written with. */
export interface WriterSchemas {
  /** For single-object encoding, by fingerprint (16 hexadecimal digits). */
  readonly byFingerprint: ReadonlyMap<string, AvroSchema>
  /** For Confluent's wire format, by the registry's id; absent when no registry is configured. */
  readonly byId?: (id: number) => AvroSchema | Promise<AvroSchema>
}

/** The schemas that come with the program and those in further folders; `registry` adds Confluent's wire format. */
export function writerSchemas(registry?: SchemaRegistry, ...folders: readonly string[]): WriterSchemas {
  const byFingerprint = readSchemaFolders(schemasFolder, ...folders)
  if (registry === undefined) return { byFingerprint }
  return { byFingerprint, byId: (id) => registry.knownSchema(id) ?? registry.schemaById(id) }
}

/** Which framing a value starts with. */
export function avroFraming(value: Buffer): 'confluent' | 'single-object' | undefined {
  if (splitSingleObject(value) !== undefined) return 'single-object'
  return splitConfluent(value) === undefined ? undefined : 'confluent'
}

/**
 * The schema that a framed Avro value was written with, and its bytes after the framing. The schema is a promise
 * only when the registry has to be asked for it.
 * Throws INPUT_BAD_AVRO or INPUT_UNKNOWN_SCHEMA; the promise rejects with what the registry throws.
 */
export function splitFramedAvro(
  value: Buffer,
  schemas: WriterSchemas,
): { readonly schema: AvroSchema | Promise<AvroSchema>; readonly payload: Buffer } {
  const single = splitSingleObject(value)
  if (single !== undefined) {
    const schema = schemas.byFingerprint.get(single.fingerprint)
    if (schema === undefined) {
      throw new LabelstreamError(
        'INPUT_UNKNOWN_SCHEMA',
        `no schema with the fingerprint ${single.fingerprint} is among the known .avsc files`,
      )
    }
    return { schema, payload: single.payload }
  }
  const confluent = splitConfluent(value)
  if (confluent === undefined) {
    throw new LabelstreamError(
      'INPUT_BAD_AVRO',
      "the value starts with neither 0xC3 0x01 (single-object encoding) nor 0x00 and an id (Confluent's wire format)",
    )
  }
  if (schemas.byId === undefined) {
    throw new LabelstreamError(
      'INPUT_UNKNOWN_SCHEMA',
      `the value has the registry's schema id ${String(confluent.id)}, but registry.url is not set`,
    )
  }
  return { schema: schemas.byId(confluent.id), payload: confluent.payload }
}

/**
 * Reads a framed Avro value with the schema it was written with (shapes as `readAvro` gives them).
 * Throws INPUT_BAD_AVRO, INPUT_NOT_UTF8, INPUT_UNKNOWN_SCHEMA, or what the registry throws.
 */
export async function readFramedAvro(value: Buffer, schemas: WriterSchemas): Promise<unknown> {
  const { schema, payload } = splitFramedAvro(value, schemas)
  return readAvro(await schema, payload)
}
