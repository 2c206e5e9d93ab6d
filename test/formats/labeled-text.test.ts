import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LabelstreamError } from '../../src/core/errors.ts'
import { writerSchemas } from '../../src/formats/avro-value.ts'
import {
  decodeLabeledText,
  labeledTextEncoder,
  labeledTextJson,
  labeledTextValue,
  type LabeledText,
  type LabeledTextOptions,
} from '../../src/formats/labeled-text.ts'
import { sourceMessage } from '../support/source-message.ts'
import { throwsCode } from '../support/throws-code.ts'

const options: LabeledTextOptions = {
  textPointer: '/text',
  idPointer: '/id',
  maxTextBytes: 1_000,
  absent: 'unknown',
}
const schemas = writerSchemas()
const decode = (value: Buffer | string | object | null, other: Partial<LabeledTextOptions> = {}) =>
  decodeLabeledText(sourceMessage(value), { ...options, ...other }, schemas)

test('a list names the labels that apply, and all others do not', async () => {
  const decoded = await decode({ id: 'a', text: 't', labels: ['x', 'y', 'x'] })
  const labels = new Map([
    ['x', 1],
    ['y', 1],
  ])
  assert.deepEqual(decoded, { id: 'a', text: 't', labels, absent: 'negative' })
  assert.deepEqual(await decode({ text: 't', labels: [] }), {
    id: 'texts/3/42',
    text: 't',
    labels: new Map(),
    absent: 'negative',
  })
})

test('a map holds probabilities, null is unknown, and a setting says what an absent label is', async () => {
  const value = { text: 't', labels: { a: 0.99, b: 0, c: null, d: true } }
  const labels = new Map([
    ['a', 0.99],
    ['b', 0],
    ['c', null],
    ['d', 1],
  ])
  for (const absent of ['negative', 'unknown'] as const) {
    assert.deepEqual(await decode(value, { absent }), { id: 'texts/3/42', text: 't', labels, absent })
  }
})

test('labels may stand elsewhere', async () => {
  const decoded = await decode({ text: 't', meta: { tags: ['x'] } }, { labelsPointer: '/meta/tags' })
  assert.deepEqual([...(decoded?.labels ?? [])], [['x', 1]])
})

test('a label may be called __proto__', async () => {
  const decoded = await decode('{"text":"t","labels":{"__proto__":0.5}}')
  assert.deepEqual([...(decoded?.labels ?? [])], [['__proto__', 0.5]])
})

test('a tombstone removes its key and is no text', async () => {
  assert.equal(await decode(null), undefined)
})

test('wrong labels are a fault of the message, with what would be right', async () => {
  const wrong = [
    undefined,
    null,
    'a',
    7,
    [1],
    [''],
    [null],
    { a: 1.01 },
    { a: -0.1 },
    { a: '1' },
    { a: [] },
    { '': 1 },
  ]
  for (const labels of wrong) {
    await throwsCode(() => decode({ text: 't', labels }), 'INPUT_BAD_LABELS', /list of names, or a map/)
  }
})

test('texts have the same rules as texts to be scored', async () => {
  await throwsCode(() => decode({ text: ' ', labels: [] }), 'INPUT_EMPTY_TEXT')
  await throwsCode(() => decode({ labels: [] }), 'INPUT_MISSING_FIELD')
  await throwsCode(() => decode('plain'), 'INPUT_BAD_JSON')
  await throwsCode(() => decode({ text: 'x'.repeat(1_001), labels: [] }), 'INPUT_TEXT_TOO_LARGE')
})

const name = fc.string({ minLength: 1, maxLength: 8 })
const row: fc.Arbitrary<LabeledText> = fc
  .record({
    id: name,
    text: fc.string({ minLength: 1, maxLength: 50 }).filter((text) => text.trim() !== ''),
    named: fc.boolean(),
    labels: fc.array(fc.tuple(name, fc.option(fc.double({ min: 0, max: 1, noNaN: true }).map((p) => p + 0)))),
  })
  .map(({ id, text, named, labels }) => ({
    id,
    text,
    labels: new Map(labels.map(([label, p]) => [label, named ? 1 : p])),
    absent: named ? 'negative' : 'unknown',
  }))

test('what is written as JSON or Avro is read as it was', async () => {
  const encode = labeledTextEncoder()
  await fc.assert(
    fc.asyncProperty(row, async (written) => {
      const value = labeledTextValue(written)
      assert.deepEqual(await decode(labeledTextJson(value)), written)
      assert.deepEqual(await decode(encode(value)), written)
    }),
    { numRuns: 500 },
  )
})

test('any value is read or refused as a fault of the message', async () => {
  const encode = labeledTextEncoder()
  const damaged = fc.tuple(row, fc.nat(), fc.nat(255)).map(([written, at, byte]) => {
    const bytes = encode(labeledTextValue(written))
    // past the header, so that the schema is found
    bytes[10 + (at % (bytes.length - 10))] = byte
    return bytes
  })
  const value = fc.oneof(
    damaged,
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    fc.json().map((json) => Buffer.from(`{"text":"t","labels":${json}}`)),
    fc.json().map((json) => Buffer.from(`{"text":"t","labels":{"a":${json}}}`)),
  )
  await fc.assert(
    fc.asyncProperty(value, async (bytes) => {
      try {
        const decoded = await decode(bytes)
        for (const probability of decoded?.labels.values() ?? []) {
          assert.ok(probability === null || (probability >= 0 && probability <= 1))
        }
      } catch (error) {
        assert.ok(error instanceof LabelstreamError, String(error))
        assert.equal(error.disposition, 'dead-letter')
      }
    }),
    { numRuns: 5_000 },
  )
})
