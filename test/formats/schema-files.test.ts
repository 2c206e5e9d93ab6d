import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import avro from 'avsc'
import { writerSchemas } from '../../src/formats/avro-value.ts'
import { parseAvroSchema } from '../../src/formats/avro-schema.ts'
import { decodeInput } from '../../src/formats/input.ts'
import { readSchemaFolders } from '../../src/formats/schema-files.ts'
import { singleObjectHeader } from '../../src/formats/single-object.ts'
import { sourceMessage } from '../support/source-message.ts'
import { throwsCode } from '../support/throws-code.ts'

const folder = mkdtempSync(join(tmpdir(), 'labelstream-schemas-'))
after(() => {
  rmSync(folder, { recursive: true })
})

test('schemas of the user, in folders below too, are read beside those that come with the program', async () => {
  const text = JSON.stringify({ type: 'record', name: 'Note', fields: [{ name: 'text', type: 'string' }] })
  mkdirSync(join(folder, 'shop'))
  writeFileSync(join(folder, 'shop', 'Note.avsc'), text)
  writeFileSync(join(folder, 'readme.txt'), 'no schema')
  const schemas = writerSchemas(undefined, folder)
  const value = Buffer.concat([
    singleObjectHeader(parseAvroSchema(text, 'Note')),
    avro.Type.forSchema(JSON.parse(text) as avro.Schema).toBuffer({ text: 'hello' }),
  ])
  const options = { format: 'auto', textPointer: '/text', idPointer: '/id', maxTextBytes: 100 } as const
  assert.deepEqual(await decodeInput(sourceMessage(value), options, schemas), {
    id: 'texts/3/42',
    text: 'hello',
  })
  assert.equal(schemas.byFingerprint.size, writerSchemas().byFingerprint.size + 1)
})

test('a folder that is missing and a file that is no schema are named', async () => {
  await throwsCode(() => readSchemaFolders(join(folder, 'absent')), 'FILE_UNREADABLE', /absent/)
  mkdirSync(join(folder, 'broken'))
  writeFileSync(join(folder, 'broken', 'Wrong.avsc'), '{"type":"record"}')
  await throwsCode(() => readSchemaFolders(join(folder, 'broken')), 'INPUT_UNKNOWN_SCHEMA', /Wrong\.avsc/)
})
