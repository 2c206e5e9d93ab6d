import assert from 'node:assert/strict'
import { test } from 'node:test'
import avro from 'avsc'
import { writerSchemas } from '../../src/formats/avro-value.ts'
import { decodeInput } from '../../src/formats/input.ts'
import { SchemaRegistry } from '../../src/formats/registry.ts'
import { decodeLabelScores, labelScoresEncoder, labelScoresSchemaText } from '../../src/formats/scores.ts'
import { scoreEvent } from '../support/score-event.ts'
import { sourceMessage } from '../support/source-message.ts'
import { testRegistry } from '../support/registry.ts'
import { throwsCode } from '../support/throws-code.ts'

const client = async () => new SchemaRegistry({ url: (await testRegistry()).url })

test('scores written with the id of a real registry are read by a reader that knows only the registry', async () => {
  const header = await (await client()).valueHeader('scores', labelScoresSchemaText())
  const value = labelScoresEncoder(header)(scoreEvent)
  assert.equal(value[0], 0)
  const readerSchemas = { ...writerSchemas(await client()), byFingerprint: new Map() }
  const read = await decodeLabelScores(value, readerSchemas)
  assert.deepEqual(JSON.parse(JSON.stringify(read)), scoreEvent)
})

test('registering the same schema again gives the same id', async () => {
  const registry = await client()
  const first = await registry.register('again-value', labelScoresSchemaText())
  assert.equal(await registry.register('again-value', labelScoresSchemaText()), first)
})

test('an input of a schema of the user is read by its id', async () => {
  const registry = await client()
  const schema = {
    type: 'record',
    name: 'Ticket',
    namespace: 'shop',
    fields: [
      { name: 'number', type: 'long' },
      { name: 'opened', type: { type: 'long', logicalType: 'timestamp-micros' } },
      { name: 'body', type: ['null', 'string'], default: null },
    ],
  }
  const header = await registry.valueHeader('tickets', JSON.stringify(schema))
  const payload = avro.Type.forSchema(schema as avro.Schema).toBuffer({
    number: 7,
    opened: 1,
    body: 'It broke.',
  })
  const options = { format: 'auto', textPointer: '/body', idPointer: '/number', maxTextBytes: 1_000 } as const
  const message = sourceMessage(Buffer.concat([header, payload]))
  const read = await decodeInput(message, options, writerSchemas(registry))
  assert.deepEqual(read, { id: '7', text: 'It broke.' })
})

test('an id that the registry does not have is a fault of the message', async () => {
  await throwsCode(async () => (await client()).schemaById(987_654), 'INPUT_UNKNOWN_SCHEMA', /987654/)
})

test('a schema that breaks the rule of its subject is refused', async () => {
  const registry = await client()
  const record = (field: object): string => JSON.stringify({ type: 'record', name: 'R', fields: [field] })
  await registry.register('ruled-value', record({ name: 'a', type: 'string' }))
  const rule = await fetch(`${(await testRegistry()).url}/config/ruled-value`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ compatibility: 'BACKWARD' }),
  })
  assert.equal(rule.status, 200)
  const incompatible = record({ name: 'b', type: 'int' })
  await throwsCode(() => registry.register('ruled-value', incompatible), 'REGISTRY_REFUSED', /ruled-value/)
})
