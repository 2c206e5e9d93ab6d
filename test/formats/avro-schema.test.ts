import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { LabelstreamError } from '../../src/core/errors.ts'
import { packageRoot } from '../../src/core/paths.ts'
import { canonicalForm, parseAvroSchema } from '../../src/formats/avro-schema.ts'
import { rabinFingerprint, schemaFingerprint, singleObjectHeader } from '../../src/formats/single-object.ts'
import { throwsCode } from '../support/throws-code.ts'

const parse = (schema: unknown) => parseAvroSchema(JSON.stringify(schema), 'the schema')

interface Recorded {
  readonly schema: unknown
  readonly canonical: string
  readonly fingerprint: string
}
const recorded = JSON.parse(
  readFileSync(join(packageRoot, 'test/fixtures/formats/fingerprints.json'), 'utf8'),
) as Recorded[]

test('canonical forms and fingerprints are those that fastavro recorded', () => {
  for (const { schema, canonical, fingerprint } of recorded) {
    assert.equal(canonicalForm(parse(schema)), canonical)
    assert.equal(schemaFingerprint(parse(schema)), fingerprint, canonical)
  }
})

test('fingerprints are those that the Avro project publishes (signed 64-bit numbers of its schema-tests.txt)', () => {
  const published: readonly [unknown, bigint][] = [
    ['null', 7195948357588979594n],
    ['boolean', -6970731678124411036n],
    ['int', 8247732601305521295n],
    ['string', -8142146995180207161n],
    [['int', { type: 'boolean' }], 5392556393470105090n],
    [{ fields: [], type: 'record', name: 'foo', namespace: 'x.y' }, 5916914534497305771n],
    [{ fields: [], type: 'record', name: 'a.b.foo', namespace: 'x.y' }, -4616218487480524110n],
    [
      { namespace: 'x.y.z', type: 'enum', name: 'foo', doc: 'foo bar', symbols: ['A1', 'A2'] },
      -4448647247586288245n,
    ],
    [{ namespace: 'x.y.z', type: 'fixed', name: 'foo', doc: 'foo bar', size: 32 }, -3064184465700546786n],
    [{ items: { type: 'null' }, type: 'array' }, -589620603366471059n],
    [{ values: 'string', type: 'map' }, -8732877298790414990n],
    [
      {
        name: 'PigValue',
        type: 'record',
        fields: [{ name: 'value', type: ['null', 'int', 'long', 'PigValue'] }],
      },
      -1759257747318642341n,
    ],
  ]
  for (const [schema, fingerprint] of published) {
    assert.equal(BigInt.asIntN(64, rabinFingerprint(canonicalForm(parse(schema)))), fingerprint)
  }
})

test('the header of single-object encoding holds the fingerprint in little-endian order', () => {
  assert.equal(singleObjectHeader(parse('int')).toString('hex'), 'c3018f5c393f1ad57572')
})

test('a bare primitive without quotes is a schema, as some registries keep it', () => {
  assert.deepEqual(parseAvroSchema('string', 'schema 7'), { kind: 'string' })
})

test('what is not an Avro schema is named with its origin and the reason', async () => {
  const wrong: readonly [unknown, RegExp][] = [
    [{ type: 'record', name: 'R', fields: [{ name: 'a', type: 'S' }] }, /schema 7 .*"S" is not defined/],
    [{ type: 'record', name: 'R' }, /fields of R are not a list/],
    [{ type: 'record', fields: [] }, /no valid name/],
    [{ type: 'record', name: 'R"', fields: [] }, /no valid name/],
    [{ type: 'record', name: 'R', fields: [null] }, /field of R has no name/],
    [{ type: 'fixed', name: 'F', size: -1 }, /size of F/],
    [{ type: 'array' }, /type is missing/],
    [
      ['null', { type: 'enum', name: 'E', symbols: [] }, { type: 'enum', name: 'E', symbols: [] }],
      /E is defined twice/,
    ],
    [42, /type is missing/],
    [JSON.parse('['.repeat(20_000) + ']'.repeat(20_000)), /too deeply/],
  ]
  for (const [schema, message] of wrong) {
    // JSON.stringify would overflow on the deep one before we get to see it
    const text =
      Array.isArray(schema) && schema.length === 1
        ? '['.repeat(20_000) + ']'.repeat(20_000)
        : JSON.stringify(schema)
    await throwsCode(() => parseAvroSchema(text, 'schema 7'), 'INPUT_UNKNOWN_SCHEMA', message)
  }
})

test('any JSON is a schema with a canonical form, which is its own, or is refused', () => {
  const word = fc.constantFrom(
    'record',
    'enum',
    'fixed',
    'array',
    'map',
    'int',
    'string',
    'null',
    'R',
    'n.R',
    'toString',
    '',
  )
  const { schema } = fc.letrec((tie) => ({
    schema: fc.oneof(
      { maxDepth: 4 },
      word,
      fc.array(tie('schema'), { maxLength: 3 }),
      fc.record(
        {
          type: fc.oneof(word, tie('schema')),
          name: word,
          // not '': inside a namespace the canonical form cannot say that a name has none (Avro's own weakness)
          namespace: fc.constantFrom('n', 'm.o', '1'),
          items: tie('schema'),
          values: tie('schema'),
          symbols: fc.array(fc.oneof(word, fc.jsonValue())),
          size: fc.oneof(fc.integer(), fc.jsonValue()),
          fields: fc.array(fc.record({ name: word, type: tie('schema') }, { requiredKeys: [] }), {
            maxLength: 3,
          }),
        },
        { requiredKeys: ['type'] },
      ),
    ),
  }))
  fc.assert(
    fc.property(fc.oneof(schema, fc.jsonValue()), (json) => {
      try {
        const form = canonicalForm(parse(json))
        assert.equal(canonicalForm(parseAvroSchema(form, 'the form')), form)
      } catch (error) {
        assert.ok(error instanceof LabelstreamError, String(error))
        assert.equal(error.code, 'INPUT_UNKNOWN_SCHEMA')
      }
    }),
    { numRuns: 5_000 },
  )
})
