import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import avro from 'avsc'
import { packageRoot } from '../../src/core/paths.ts'
import { parseAvroSchema } from '../../src/formats/avro-schema.ts'
import { readFramedAvro, writerSchemas } from '../../src/formats/avro-value.ts'
import { decodeInput } from '../../src/formats/input.ts'
import { decodeLabeledText } from '../../src/formats/labeled-text.ts'
import { decodeLabelScores } from '../../src/formats/scores.ts'
import { schemaFingerprint } from '../../src/formats/single-object.ts'
import { sourceMessage } from '../support/source-message.ts'

/** One value as it was written on the day its schema version came out (test/fixtures/formats/record.py). */
interface Recorded {
  readonly schema: 'LabelScores' | 'LabeledText' | 'InputText'
  readonly schemaText: string
  readonly value: unknown
  readonly writtenByLabelstream: string
  readonly writtenByFastavro: string
}

const folder = join(packageRoot, 'test/fixtures/formats')
const versions = readdirSync(folder).filter((name) => /^v\d+\.json$/.test(name))
const schemas = writerSchemas()
const options = { textPointer: '/text', idPointer: '/id', maxTextBytes: 1_000, absent: 'unknown' } as const

for (const version of versions) {
  const rows = JSON.parse(readFileSync(join(folder, version), 'utf8')) as Recorded[]

  test(`the schemas of ${version} are still known by their fingerprints`, () => {
    for (const row of rows) {
      const fingerprint = schemaFingerprint(parseAvroSchema(row.schemaText, version))
      assert.ok(
        schemas.byFingerprint.has(fingerprint),
        `${row.schema} changed: keep its former file under schemas/previous/ and record a new version`,
      )
    }
  })

  test(`the bytes of ${version}, ours and those of fastavro, give the recorded values`, async () => {
    for (const row of rows) {
      for (const hex of [row.writtenByLabelstream, row.writtenByFastavro]) {
        const read = await readFramedAvro(Buffer.from(hex, 'hex'), schemas)
        assert.deepEqual(JSON.parse(JSON.stringify(read)), row.value)
      }
    }
  })

  test(`the readers of today take every value of ${version}`, async () => {
    for (const row of rows) {
      const value = Buffer.from(row.writtenByLabelstream, 'hex')
      if (row.schema === 'LabelScores') {
        assert.deepEqual(JSON.parse(JSON.stringify(await decodeLabelScores(value, schemas))), row.value)
      } else if (row.schema === 'LabeledText') {
        const read = await decodeLabeledText(sourceMessage(value), options, schemas)
        assert.equal(read?.text, (row.value as { text: string }).text)
      } else {
        const read = await decodeInput(sourceMessage(value), { ...options, format: 'auto' }, schemas)
        assert.ok('text' in read && read.text === (row.value as { text: string }).text)
      }
    }
  })

  test(`the schemas of today are backward compatible with ${version} by Avro's rules`, () => {
    for (const row of rows) {
      const text = readFileSync(join(packageRoot, 'schemas', `${row.schema}.avsc`), 'utf8')
      const today = avro.Type.forSchema(JSON.parse(text) as avro.Schema)
      const then = avro.Type.forSchema(JSON.parse(row.schemaText) as avro.Schema)
      assert.doesNotThrow(() => today.createResolver(then))
    }
  })
}

test('there are recorded bytes', () => {
  assert.ok(versions.length > 0)
})
