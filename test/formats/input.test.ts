import assert from 'node:assert/strict'
import { test } from 'node:test'
import avro from 'avsc'
import fc from 'fast-check'
import { LabelstreamError } from '../../src/core/errors.ts'
import { parseAvroSchema } from '../../src/formats/avro-schema.ts'
import { writerSchemas, type WriterSchemas } from '../../src/formats/avro-value.ts'
import { confluentHeader } from '../../src/formats/confluent.ts'
import { decodeInput, type InputOptions } from '../../src/formats/input.ts'
import { labeledTextEncoder } from '../../src/formats/labeled-text.ts'
import type { SourceMessage } from '../../src/formats/message.ts'
import { SchemaRegistry } from '../../src/formats/registry.ts'
import { startFakeRegistry } from '../support/fake-registry.ts'
import { sourceMessage } from '../support/source-message.ts'
import { throwsCode } from '../support/throws-code.ts'

const options: InputOptions = { format: 'auto', textPointer: '/text', idPointer: '/id', maxTextBytes: 1_000 }
const ours = writerSchemas()

const decode = async (
  message: SourceMessage,
  other: Partial<InputOptions> = {},
  schemas: WriterSchemas = ours,
) => decodeInput(message, { ...options, ...other }, schemas)
const decodeValue = (value: Buffer | string | object | null, other: Partial<InputOptions> = {}) =>
  decode(sourceMessage(value), other)

/** A registry with one schema, number 7. */
function registryWith(schema: object): WriterSchemas {
  const parsed = parseAvroSchema(JSON.stringify(schema), 'schema 7')
  return { byFingerprint: new Map(), byId: () => Promise.resolve(parsed) }
}

test('plain text is the text, and its place in Kafka is the id', async () => {
  assert.deepEqual(await decodeValue('Boil the pasta. \n'), { id: 'texts/3/42', text: 'Boil the pasta. \n' })
})

test('JSON gives the text and the id at the pointers', async () => {
  assert.deepEqual(await decodeValue(' \n{"text":"hello","id":"a-1"}'), { id: 'a-1', text: 'hello' })
  const nested = { body: { lines: ['x', 'hello'] }, meta: { 'the/id': 17 } }
  const pointers = { textPointer: '/body/lines/1', idPointer: '/meta/the~1id' }
  assert.deepEqual(await decodeValue(nested, pointers), { id: '17', text: 'hello' })
})

test('a format that is named is not guessed', async () => {
  assert.deepEqual(await decodeValue('{not json', { format: 'text' }), {
    id: 'texts/3/42',
    text: '{not json',
  })
  assert.deepEqual(await decodeValue('["x"]', { format: 'json', textPointer: '/0' }), {
    id: 'texts/3/42',
    text: 'x',
  })
  await throwsCode(() => decodeValue('plain', { format: 'json' }), 'INPUT_BAD_JSON')
  await throwsCode(() => decodeValue('plain', { format: 'avro' }), 'INPUT_BAD_AVRO', /0xC3 0x01/)
})

test('a byte order mark belongs neither to a text nor to JSON', async () => {
  assert.deepEqual(await decodeValue('\ufeffhello'), { id: 'texts/3/42', text: 'hello' })
  assert.deepEqual(await decodeValue('\ufeff{"text":"hello"}'), { id: 'texts/3/42', text: 'hello' })
})

test('a tombstone is skipped', async () => {
  for (const format of ['auto', 'text', 'json', 'avro'] as const) {
    assert.deepEqual(await decodeValue(null, { format }), { skip: 'tombstone' })
  }
})

test('the id is the field, else the key, else the place', async () => {
  const idOf = async (value: object, key: Buffer | null): Promise<string> => {
    const decoded = await decode(sourceMessage(value, { key }))
    assert.ok('id' in decoded)
    return decoded.id
  }
  const key = Buffer.from('schlüssel')
  assert.equal(await idOf({ text: 't', id: 'a' }, key), 'a')
  assert.equal(await idOf({ text: 't', id: 5 }, key), '5')
  assert.equal(await idOf({ text: 't' }, key), 'schlüssel')
  for (const id of [null, '', {}, true, 1.5, 1e300])
    assert.equal(await idOf({ text: 't', id }, key), 'schlüssel')
  assert.equal(await idOf({ text: 't' }, Buffer.from([0xff, 0x01])), 'ff01')
  assert.equal(await idOf({ text: 't' }, Buffer.from([0, 0, 0, 42])), '0000002a')
  assert.equal(await idOf({ text: 't' }, Buffer.alloc(0)), 'texts/3/42')
  assert.equal(await idOf({ text: 't' }, null), 'texts/3/42')
})

test('a JSON number that lost its digits is no id', async () => {
  const decoded = await decodeValue('{"text":"t","id":12345678901234567890}')
  assert.deepEqual(decoded, { id: 'texts/3/42', text: 't' })
})

test('an Avro id of 64 bits keeps all its digits', async () => {
  const schema = { type: 'record', name: 'R', fields: ['id long', 'text string'].map(field) }
  const value = Buffer.from('feffffffffffffffff01' + '0268', 'hex')
  const decoded = await decode(
    sourceMessage(Buffer.concat([confluentHeader(7), value])),
    {},
    registryWith(schema),
  )
  assert.deepEqual(decoded, { id: '9223372036854775807', text: 'h' })
})

function field(nameAndType: string): { name: string; type: string } {
  const [name = '', type = ''] = nameAndType.split(' ')
  return { name, type }
}

test('single-object Avro of the schemas that come with the program is read', async () => {
  const labeled = labeledTextEncoder()({ id: 'a-1', text: 'hello', labels: ['x'] })
  assert.deepEqual(await decodeValue(labeled), { id: 'a-1', text: 'hello' })
  assert.deepEqual(await decodeValue(labeled, { format: 'avro' }), { id: 'a-1', text: 'hello' })
})

test('an unknown fingerprint is named', async () => {
  const value = Buffer.from('c3010123456789abcdef00', 'hex')
  await throwsCode(() => decodeValue(value), 'INPUT_UNKNOWN_SCHEMA', /efcdab8967452301/)
})

test("Avro in Confluent's wire format is read with the writer's schema, wherever the text stands in it", async () => {
  const schema = {
    type: 'record',
    name: 'Ticket',
    fields: [
      { name: 'number', type: 'long' },
      {
        name: 'message',
        type: ['null', { type: 'record', name: 'Message', fields: [field('body string')] }],
      },
    ],
  }
  const bytes = avro.Type.forSchema(schema as avro.Schema).toBuffer({ number: 9, message: { body: 'hello' } })
  const message = sourceMessage(Buffer.concat([confluentHeader(7), bytes]))
  const pointers = { textPointer: '/message/body', idPointer: '/number' }
  assert.deepEqual(await decode(message, pointers, registryWith(schema)), { id: '9', text: 'hello' })
  await throwsCode(() => decode(message, {}, registryWith(schema)), 'INPUT_MISSING_FIELD', /\/text/)
})

test("Confluent's wire format without a registry says which setting is missing", async () => {
  const message = sourceMessage(Buffer.concat([confluentHeader(7), Buffer.from('hello')]))
  await throwsCode(() => decode(message), 'INPUT_UNKNOWN_SCHEMA', /schema id 7.*registry\.url/)
})

test('bytes that start with zeros, but not with an id, are not of a registry', async () => {
  for (const hex of ['0000000000', '00ffffffff', '00000001']) {
    const value = Buffer.from(hex, 'hex')
    await throwsCode(() => decodeValue(value, { format: 'avro' }), 'INPUT_BAD_AVRO', /0x00 and an id/)
  }
})

test('a registry that does not answer is no fault of the message', async () => {
  const down: WriterSchemas = {
    byFingerprint: new Map(),
    byId: () => Promise.reject(new LabelstreamError('REGISTRY_UNREACHABLE', 'no answer')),
  }
  const message = sourceMessage(Buffer.concat([confluentHeader(7), Buffer.from('hello')]))
  const error = await throwsCode(() => decode(message, {}, down), 'REGISTRY_UNREACHABLE')
  assert.equal(error.disposition, 'retry')
})

test('each fault has its code', async () => {
  await throwsCode(() => decodeValue(Buffer.from([0x61, 0xff])), 'INPUT_NOT_UTF8')
  await throwsCode(() => decodeValue(Buffer.from('ff fe 61 00'.replaceAll(' ', ''), 'hex')), 'INPUT_NOT_UTF8')
  await throwsCode(() => decodeValue('{"text":"\xff', {}), 'INPUT_BAD_JSON')
  await throwsCode(() => decodeValue('{sic} as they say'), 'INPUT_BAD_JSON', /input\.format to text/)
  await throwsCode(() => decodeValue({ body: 'x' }), 'INPUT_MISSING_FIELD', /nothing at \/text/)
  await throwsCode(() => decodeValue({ text: 7 }), 'INPUT_MISSING_FIELD', /type number/)
  await throwsCode(() => decodeValue({ text: null }), 'INPUT_MISSING_FIELD', /null/)
  for (const empty of ['', ' \t\r\n', '\u00a0\u3000', '\ufeff', { text: '  ' }]) {
    await throwsCode(() => decodeValue(empty), 'INPUT_EMPTY_TEXT')
  }
})

test('messages of errors hold nothing of the text', async () => {
  for (const value of [
    '{"secret',
    '{secret}',
    '{"text":"secret"',
    { secret: 'secret' },
    { text: ['secret'] },
  ]) {
    const error = await decodeValue(value).catch((thrown: unknown) => thrown as LabelstreamError)
    assert.ok(error instanceof LabelstreamError)
    assert.doesNotMatch(error.message, /secret/)
  }
})

test('the limit counts UTF-8 bytes of the text, not of the message', async () => {
  const fits = 'ü'.repeat(500)
  assert.deepEqual(await decodeValue(fits), { id: 'texts/3/42', text: fits })
  await throwsCode(() => decodeValue(`${fits}x`), 'INPUT_TEXT_TOO_LARGE', /1001 bytes, the limit is 1000/)
  assert.deepEqual(await decodeValue({ text: fits, other: 'x'.repeat(5_000) }), {
    id: 'texts/3/42',
    text: fits,
  })
  await throwsCode(() => decodeValue({ text: `${fits}x` }), 'INPUT_TEXT_TOO_LARGE')
})

test('a value beyond the limit of a message is refused before it is parsed', async () => {
  const value = `{"text":"x","other":"${'x'.repeat(2_000_000)}"`
  await throwsCode(() => decodeValue(value), 'INPUT_TEXT_TOO_LARGE', /the value/)
  await throwsCode(() => decodeValue({ text: 'x', y: 'yy' }, { maxMessageBytes: 10 }), 'INPUT_TEXT_TOO_LARGE')
})

test('JSON nested a hundred thousand deep is no trouble', async () => {
  const bomb = `{"text":"x","a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
  assert.deepEqual(await decodeValue(bomb), { id: 'texts/3/42', text: 'x' })
  await throwsCode(() => decodeValue(`{"a":${'['.repeat(100_000)}`), 'INPUT_BAD_JSON')
})

test('lone surrogates become the replacement character', async () => {
  assert.deepEqual(await decodeValue('{"text":"a\\ud83d b"}'), { id: 'texts/3/42', text: 'a\ufffd b' })
  assert.deepEqual(await decodeValue('{"text":"\\ud83d\\udc0d"}'), { id: 'texts/3/42', text: '🐍' })
})

test('a valid trace context comes along, another is ignored', async () => {
  const valid = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const traceOf = async (traceparent: string | Buffer | (string | Buffer)[]): Promise<string | undefined> => {
    const decoded = await decode(sourceMessage('hello', { headers: { traceparent } }))
    return 'traceparent' in decoded ? decoded.traceparent : undefined
  }
  assert.equal(await traceOf(Buffer.from(valid)), valid)
  assert.equal(await traceOf(['nonsense', valid]), valid)
  const invalid = [
    '',
    'ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
    '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01',
    `${valid}\n`,
  ]
  for (const header of invalid) assert.equal(await traceOf(header), undefined, header)
})

test('only a schema that the registry has to be asked for makes a message wait', async () => {
  const wait = (value: Buffer | string, schemas = ours): boolean =>
    decodeInput(sourceMessage(value), options, schemas) instanceof Promise
  assert.equal(wait('hello'), false)
  assert.equal(wait('{"text":"hello"}'), false)
  assert.equal(wait(labeledTextEncoder()({ text: 'hello', labels: [] })), false)
  const registry = await startFakeRegistry()
  try {
    registry.schemas.set(7, { schema: JSON.stringify({ type: 'map', values: 'string' }) })
    const schemas = writerSchemas(new SchemaRegistry({ url: registry.url }))
    const bytes = avro.Type.forSchema({ type: 'map', values: 'string' }).toBuffer({ text: 'hello' })
    const framed = Buffer.concat([confluentHeader(7), bytes])
    const first = decodeInput(sourceMessage(framed), options, schemas)
    assert.ok(first instanceof Promise)
    assert.deepEqual(await first, { id: 'texts/3/42', text: 'hello' })
    assert.equal(wait(framed, schemas), false)
  } finally {
    await registry.close()
  }
})

test('any message is decoded, skipped or refused as a fault of the message, in every format', async () => {
  const readable = avro.Type.forSchema({ type: 'record', name: 'R', fields: [field('text string')] })
  const schemas: WriterSchemas = {
    ...ours,
    byId: registryWith({ type: 'map', values: 'string' }).byId ?? missing,
  }
  const framed = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes))
  const headers = [...ours.byFingerprint.keys()].map((fingerprint) =>
    Buffer.concat([Buffer.from('c301', 'hex'), Buffer.from(fingerprint, 'hex').reverse()]),
  )
  const value = fc.oneof(
    framed,
    fc.tuple(fc.constantFrom(confluentHeader(7), ...headers), framed).map((parts) => Buffer.concat(parts)),
    fc
      .string({ unit: 'binary' })
      .map((text) => Buffer.concat([confluentHeader(7), readable.toBuffer({ text })])),
    fc.json().map((json) => Buffer.from(json)),
    fc.json().map((json) => Buffer.from(`{"text":${json},"id":${json}}`)),
    fc.string({ unit: 'binary' }).map((text) => Buffer.from(JSON.stringify({ text }))),
    fc.constant(null),
  )
  const message = fc.record({
    value,
    key: fc.option(framed),
    format: fc.constantFrom('auto', 'text', 'json', 'avro'),
  })
  await fc.assert(
    fc.asyncProperty(message, async ({ value, key, format }) => {
      try {
        const decoded = await decode(sourceMessage(value, { key }), { format: format as 'auto' }, schemas)
        assert.ok('skip' in decoded ? value === null : decoded.text.trim() !== '' && decoded.id !== '')
      } catch (error) {
        assert.ok(error instanceof LabelstreamError, String(error))
        assert.equal(error.disposition, 'dead-letter')
      }
    }),
    { numRuns: 5_000 },
  )
})

const missing = (): Promise<never> => Promise.reject(new Error('not there'))

test('key and headers that would not leave room for the score are a fault of the message', async () => {
  const message = (size: number) =>
    sourceMessage('a text', { key: Buffer.alloc(50), headers: { a: [Buffer.alloc(size), 'xx'], b: 'y' } })
  // 50 of the key, the name `a` with each of its values, `b` and its value
  assert.ok('text' in (await decode(message(94), { maxHeaderBytes: 150 })))
  await throwsCode(() => decode(message(95), { maxHeaderBytes: 150 }), 'INPUT_HEADERS_TOO_LARGE')
  await throwsCode(() => decode(message(65_536)), 'INPUT_HEADERS_TOO_LARGE')
})
