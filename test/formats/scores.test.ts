import assert from 'node:assert/strict'
import { test } from 'node:test'
import avro from 'avsc'
import fc from 'fast-check'
import { writerSchemas } from '../../src/formats/avro-value.ts'
import { confluentHeader } from '../../src/formats/confluent.ts'
import { labeledTextEncoder } from '../../src/formats/labeled-text.ts'
import {
  decodeLabelScores,
  labelScoresEncoder,
  labelScoresSchemaText,
  type LabelScores,
} from '../../src/formats/scores.ts'
import { eventIdOf } from '../../src/formats/text-value.ts'
import { throwsCode } from '../support/throws-code.ts'

const schemas = writerSchemas()
const text = fc.string({ unit: 'grapheme', maxLength: 30 })
const count = fc.nat(2 ** 31 - 1)
const event: fc.Arbitrary<LabelScores> = fc.record({
  eventId: text,
  id: text,
  source: fc.record({ topic: text, partition: count, offset: count, timestamp: fc.integer() }),
  model: fc.record({ name: text, version: text, digest: text, precision: text }),
  scores: fc.dictionary(text, fc.float({ min: 0, max: 1, noNaN: true })),
  labels: fc.array(text),
  tokens: count,
  windows: count,
  truncated: fc.boolean(),
  scoredAt: fc.integer({ min: 0 }),
})

test('an event is read as it was written', async () => {
  const encode = labelScoresEncoder()
  await fc.assert(
    fc.asyncProperty(event, async (written) => {
      const read = await decodeLabelScores(encode(written), schemas)
      assert.equal(JSON.stringify(read), JSON.stringify(written))
    }),
    { numRuns: 300 },
  )
})

test("an event is the bytes that avsc writes for the whole schema, also from the model's own array", () => {
  const type = avro.Type.forSchema(JSON.parse(labelScoresSchemaText()) as avro.Schema)
  const encode = labelScoresEncoder(confluentHeader(7))
  fc.assert(
    fc.property(event, fc.nat(200), (written, more) => {
      const labels = Array.from({ length: more }, (_, label) => `label ${label}`)
      const scores = { ...written.scores, ...Object.fromEntries(labels.map((label) => [label, 0.25])) }
      const whole = Buffer.concat([confluentHeader(7), type.toBuffer({ ...written, scores })])
      assert.deepEqual(encode({ ...written, scores }), whole)
      const names = Object.keys(scores)
      for (const factor of [0.5, 1]) {
        const values = Float32Array.from(Object.values(scores), (score) => score * factor)
        const bytes = encode({ ...written, scores: { names, values } })
        if (factor === 1) assert.deepEqual(bytes, whole)
      }
    }),
    { numRuns: 200 },
  )
})

test('an event larger than any before it is written whole, and later ones are not disturbed', async () => {
  const encode = labelScoresEncoder()
  const [small] = fc.sample(event, 1)
  assert.ok(small)
  const scores = Object.fromEntries(
    Array.from({ length: 1_000 }, (_, label) => [`label ${String(label)}`, 0.5]),
  )
  const before = encode(small)
  const copy = Buffer.from(before)
  const large = await decodeLabelScores(encode({ ...small, scores }), schemas)
  assert.equal(Object.keys(large.scores).length, 1_000)
  assert.deepEqual(before, copy)
  assert.deepEqual(encode(small), copy)
})

test('with a registry the header is its id', async () => {
  const [written] = fc.sample(event, 1)
  assert.ok(written)
  const value = labelScoresEncoder(confluentHeader(300))(written)
  assert.equal(value.subarray(0, 5).toString('hex'), '000000012c')
  const schema = [...schemas.byFingerprint.values()].find(
    (known) => 'name' in known && known.name.endsWith('Scores'),
  )
  assert.ok(schema)
  const withRegistry = { ...schemas, byId: () => Promise.resolve(schema) }
  assert.equal((await decodeLabelScores(value, withRegistry)).eventId, written.eventId)
})

test('an event that does not fit is our fault and is named by its place', async () => {
  const [written] = fc.sample(event, 1)
  assert.ok(written)
  const wrong = { ...written, eventId: 'texts/0/1', tokens: 1.5 }
  await throwsCode(() => labelScoresEncoder()(wrong), 'INTERNAL', /texts\/0\/1/)
})

test('Avro of another schema is not taken for scores', async () => {
  const value = labeledTextEncoder()({ text: 't', labels: ['a'] })
  await throwsCode(() => decodeLabelScores(value, schemas), 'INPUT_BAD_AVRO')
})

test('the event id names the place of the input', () => {
  assert.equal(eventIdOf({ topic: 'texts', partition: 0, offset: 17 }), 'texts/0/17')
})
