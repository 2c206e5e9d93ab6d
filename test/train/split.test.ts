import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Dataset } from '../../src/train/dataset.ts'
import { normalText, splitByHash, splitWarnings, withoutTextsOf } from '../../src/train/split.ts'
import { throwsCode } from '../support/throws-code.ts'

const dataset = (rows: readonly { id: string; text: string; target?: number }[]): Dataset => ({
  labels: ['a'],
  rows: rows.map(({ id, text, target = 1 }) => ({ id, text, targets: Float32Array.of(target) })),
})
const many = (count: number) =>
  dataset(Array.from({ length: count }, (_, row) => ({ id: `id-${row}`, text: `text ${row}` })))
const fractions = { dev: 0.2, test: 0.1 }
const partOf = (split: ReturnType<typeof splitByHash>, id: string) =>
  (['train', 'dev', 'test'] as const).find((part) => split[part].rows.some((row) => row.id === id))

test('parts have about their share of the rows', () => {
  const split = splitByHash(many(2000), fractions)
  assert.ok(Math.abs(split.dev.rows.length - 400) < 60)
  assert.ok(Math.abs(split.test.rows.length - 200) < 45)
  assert.equal(split.train.rows.length + split.dev.rows.length + split.test.rows.length, 2000)
})

test('a row keeps its part while the data grows', () => {
  const [small, large] = [splitByHash(many(100), fractions), splitByHash(many(300), fractions)]
  for (let row = 0; row < 100; row++) assert.equal(partOf(small, `id-${row}`), partOf(large, `id-${row}`))
})

test('near-duplicate texts are on one side', () => {
  const variant = fc.constantFrom('Hello, World!', 'hello world', ' HELLO  WORLD ', 'hello-world?')
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 2, maxLength: 8 }),
      variant,
      (ids, text) => {
        const others = many(60).rows
        const split = splitByHash(
          { labels: ['a'], rows: [...others, ...dataset(ids.map((id) => ({ id: `dup ${id}`, text }))).rows] },
          fractions,
        )
        assert.equal(new Set(ids.map((id) => partOf(split, `dup ${id}`))).size, 1)
      },
    ),
  )
  assert.equal(normalText('Ｃａｆé,  ok?'), 'café ok')
})

test('rows whose text is in a given dev part are not trained on', () => {
  const train = dataset([
    { id: '1', text: 'Same text.' },
    { id: '2', text: 'other' },
  ])
  const kept = withoutTextsOf(train, dataset([{ id: '9', text: 'same TEXT' }]))
  assert.deepEqual(
    kept.rows.map(({ id }) => id),
    ['2'],
  )
})

test('too few rows are refused, labels without positives are warned of', async () => {
  await throwsCode(() => splitByHash(many(1), fractions), 'DATA_INVALID', /too few/)
  const split = splitByHash(
    dataset(Array.from({ length: 100 }, (_, row) => ({ id: `${row}`, text: `t ${row}`, target: 0 }))),
    fractions,
  )
  assert.deepEqual(splitWarnings(split), [
    'label a has no positive in the train part',
    'label a has no positive in the dev part',
  ])
})
