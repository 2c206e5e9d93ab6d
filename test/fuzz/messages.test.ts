import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { packageRoot } from '../../src/core/paths.ts'
import { readAvro } from '../../src/formats/avro-reader.ts'
import { type AvroSchema, canonicalForm, parseAvroSchema } from '../../src/formats/avro-schema.ts'
import { readFramedAvro, writerSchemas, type WriterSchemas } from '../../src/formats/avro-value.ts'
import { confluentHeader } from '../../src/formats/confluent.ts'
import { deadLetter, deadLetterReason, replayedMessage } from '../../src/formats/dead-letter.ts'
import { decodeInput, type InputFormat } from '../../src/formats/input.ts'
import { decodeLabeledText, labeledTextEncoder, labeledTextValue } from '../../src/formats/labeled-text.ts'
import { schemaFingerprint } from '../../src/formats/single-object.ts'
import { decodeLabelScores, labelScoresEncoder } from '../../src/formats/scores.ts'
import { traceparentOf } from '../../src/formats/trace-context.ts'
import { LabelstreamError } from '../../src/core/errors.ts'
import { fuzzCases, fuzzSeed, refusalOf, survives } from '../support/fuzz.ts'
import { scoreEvent } from '../support/score-event.ts'
import { sourceMessage } from '../support/source-message.ts'

const schemaOf = (name: string): string => readFileSync(join(packageRoot, 'schemas', `${name}.avsc`), 'utf8')
const schemaTexts = ['LabelScores', 'LabeledText', 'InputText'].map(schemaOf)
const fixtureSchemas = JSON.parse(
  readFileSync(join(packageRoot, 'test', 'fixtures', 'formats', 'schemas.json'), 'utf8'),
) as unknown[]
const schemas: WriterSchemas = {
  byFingerprint: writerSchemas().byFingerprint,
  byId: (id) => parseAvroSchema(schemaTexts[id % schemaTexts.length] ?? '"string"', `schema ${id}`),
}

const labelled = [
  { id: 'a', text: 'Rest the dough.', labels: { cooking_advice: 0.75, health_advice: null } },
  { id: null, text: 'Read the manual first. 👩‍👩‍👧', labels: ['programming_advice', 'advice_for_beginners'] },
] as const
const [single, confluent] = [undefined, confluentHeader(1)].map((header) => labeledTextEncoder(header))
const avroLabelled = labelled
  .flatMap((row) => [single?.(row), confluent?.(row)])
  .filter((bytes) => bytes !== undefined)
const avroScores = [labelScoresEncoder()(scoreEvent), labelScoresEncoder(confluentHeader(3))(scoreEvent)]
const jsonLabelled = labelled.map((row) => Buffer.from(JSON.stringify(row)))
const inputs = [
  ...jsonLabelled,
  ...avroLabelled,
  Buffer.from('Just a text, with ÄÖÜ and 中文.'),
  Buffer.from('\ufeff{"id": 17, "text": "with a byte order mark"}'),
  Buffer.from(JSON.stringify({ text: 'nested', more: { a: [1, 2, { b: null }] } })),
]
const limits = { textPointer: '/text', idPointer: '/id', maxTextBytes: 100_000 }

test('input messages: text, JSON and Avro in both framings', async (t) => {
  const formats: readonly InputFormat[] = ['auto', 'text', 'json', 'avro']
  let turn = 0
  await survives(t, {
    seeds: inputs,
    read: (bytes) =>
      decodeInput(
        sourceMessage(bytes, { key: bytes.subarray(0, 9) }),
        {
          ...limits,
          format: turn < inputs.length ? 'auto' : (formats[turn % 4] ?? 'auto'),
          maxMessageBytes: 1e6 * (1 + (turn++ % 2)),
        },
        schemas,
      ),
  })
})

test('labelled texts: JSON and Avro', async (t) => {
  await survives(t, {
    seeds: [...jsonLabelled, ...avroLabelled],
    read: async (bytes) => {
      const row = await decodeLabeledText(sourceMessage(bytes), { ...limits, absent: 'unknown' }, schemas)
      return row === undefined ? undefined : labeledTextValue(row)
    },
  })
})

test('score events', async (t) => {
  await survives(t, { seeds: avroScores, read: (bytes) => decodeLabelScores(bytes, schemas) })
})

test('Avro schemas, and values read with them', async (t) => {
  const values = [...avroLabelled, ...avroScores].map((bytes) => bytes.subarray(5))
  const seeds = [...schemaTexts, ...fixtureSchemas.map((schema) => JSON.stringify(schema))].map((text) =>
    Buffer.from(text),
  )
  let turn = 0
  await survives(t, {
    seeds,
    read: (bytes) => {
      const schema = parseAvroSchema(bytes.toString('utf8'), 'a mutated schema')
      canonicalForm(schema)
      schemaFingerprint(schema)
      if (turn++ < seeds.length) return schema
      return readAvro(schema, values[turn % values.length] ?? Buffer.alloc(0))
    },
  })
})

test('Avro values of random bytes under every schema', async (t) => {
  const parsed = [...schemaTexts, ...fixtureSchemas.map((schema) => JSON.stringify(schema))].map((text) =>
    parseAvroSchema(text, 'a schema'),
  )
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.nat(parsed.length - 1), async (bytes, index) => {
      const input = Buffer.from(bytes)
      const readers = [
        () => readAvro(parsed[index] ?? { kind: 'null' }, input),
        () => readFramedAvro(Buffer.concat([confluentHeader(1 + index), input]), schemas),
      ]
      for (const read of readers) {
        try {
          await read()
        } catch (error) {
          refusalOf(error, 'random bytes', input)
        }
      }
    }),
    { numRuns: fuzzCases, seed: fuzzSeed },
  )
  t.diagnostic(`${fuzzCases} cases of seed ${fuzzSeed}, each read bare and framed`)
})

test('JSON documents of any shape, as inputs and as labelled texts', async (t) => {
  const document = fc.record(
    {
      id: fc.jsonValue(),
      text: fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue()),
      labels: fc.jsonValue(),
    },
    { requiredKeys: [] },
  )
  await fc.assert(
    fc.asyncProperty(fc.oneof(document, fc.jsonValue()), async (value) => {
      const input = Buffer.from(JSON.stringify(value))
      for (const read of [
        () => decodeInput(sourceMessage(input), { ...limits, format: 'json' }, schemas),
        () => decodeLabeledText(sourceMessage(input), { ...limits, absent: 'negative' }, schemas),
      ]) {
        try {
          await read()
        } catch (error) {
          refusalOf(error, 'a JSON document', input)
        }
      }
    }),
    { numRuns: fuzzCases, seed: fuzzSeed },
  )
  t.diagnostic(`${fuzzCases} cases of seed ${fuzzSeed}, each read twice`)
})

test('headers of any names and values: dead letters, their reasons and replays, trace contexts', (t) => {
  const name = fc.oneof(
    fc.string(),
    fc.constantFrom(
      'traceparent',
      '__proto__',
      'constructor',
      '__connect.errors.topic',
      '__connect.errors.offset',
    ),
  )
  const value = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes))
  const headers = fc.dictionary(name, fc.oneof(value, fc.string(), fc.array(value, { maxLength: 4 })), {
    maxKeys: 8,
  })
  const fault = new LabelstreamError('INPUT_BAD_JSON', 'the value is not valid JSON')
  fc.assert(
    fc.property(headers, (given) => {
      const message = sourceMessage('x', { headers: given })
      traceparentOf(message.headers)
      deadLetterReason(message.headers)
      replayedMessage(message)
      const letter = deadLetter(message, 'input', fault)
      return deadLetterReason(letter.headers)?.code === 'INPUT_BAD_JSON'
    }),
    { numRuns: fuzzCases, seed: fuzzSeed },
  )
  t.diagnostic(`${fuzzCases} cases of seed ${fuzzSeed}`)
})

test('a schema of a few hundred bytes cannot make a billion values of an empty message', (t) => {
  const doubled = (depth: number): object =>
    depth === 0
      ? { type: 'record', name: 'R0', fields: [] }
      : {
          type: 'record',
          name: `R${depth}`,
          fields: [
            { name: 'a', type: doubled(depth - 1) },
            { name: 'b', type: `R${depth - 1}` },
          ],
        }
  const schema: AvroSchema = parseAvroSchema(JSON.stringify(doubled(30)), 'thirty doublings')
  try {
    readAvro(schema, Buffer.alloc(0))
    t.diagnostic('read')
  } catch (error) {
    refusalOf(error, 'thirty doublings', Buffer.alloc(0))
    return
  }
  throw new Error('a billion values were read')
})
