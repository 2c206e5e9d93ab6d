import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { packageRoot } from '../core/paths.ts'
import { parseAvroSchema, type AvroSchema } from './avro-schema.ts'
import { schemaFingerprint } from './single-object.ts'

/** The folder with the schemas that come with the program. */
export const schemasFolder: string = join(packageRoot, 'schemas')

/** The JSON text of a schema that comes with the program. Throws FILE_UNREADABLE. */
export function schemaText(name: 'LabelScores' | 'LabeledText' | 'InputText'): string {
  return readText(join(schemasFolder, `${name}.avsc`))
}

/**
 * The schemas of every .avsc file in and below the folders, by fingerprint. Throws FILE_UNREADABLE, or
 * INPUT_UNKNOWN_SCHEMA for a file that is not an Avro schema.
 */
export function readSchemaFolders(...folders: readonly string[]): ReadonlyMap<string, AvroSchema> {
  const schemas = new Map<string, AvroSchema>()
  for (const folder of folders) {
    for (const file of listFiles(folder)) {
      const schema = parseAvroSchema(readText(join(folder, file)), join(folder, file))
      schemas.set(schemaFingerprint(schema), schema)
    }
  }
  return schemas
}

function listFiles(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.avsc'))
  } catch (error) {
    throw new LabelstreamError('FILE_UNREADABLE', `the schema folder cannot be read: ${messageOf(error)}`)
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new LabelstreamError('FILE_UNREADABLE', `a schema cannot be read: ${messageOf(error)}`)
  }
}
