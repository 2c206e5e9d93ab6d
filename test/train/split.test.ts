import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../src/core/random.ts'
import type { Dataset, Row } from '../../src/train/dataset.ts'
import { type Split, splitByHash, splitWarnings, withoutTextsOf } from '../../src/train/split.ts'
import { splitParts } from '../../src/train/stratify.ts'
import { throwsCode } from '../support/throws-code.ts'

const dataset = (rows: readonly { id: string; text: string; target?: number }[]): Dataset => ({
  labels: ['a'],
  rows: rows.map(({ id, text, target = 1 }) => ({ id, text, targets: Float32Array.of(target) })),
})
const many = (count: number) =>
  dataset(Array.from({ length: count }, (_, row) => ({ id: `id-${row}`, text: `text ${row}` })))
const fractions = { dev: 0.2, test: 0.1 }

/** Each row's part. */
const partsOf = (split: Split): Map<string, string> =>
  new Map(splitParts.flatMap((part) => split[part].rows.map(({ id }) => [id, part] as const)))

/** Rows that are in both splits, and in another part. */
const changedParts = (before: Split, after: Split): string[] => {
  const parts = partsOf(after)
  return [...partsOf(before)].flatMap(([id, part]) => (parts.get(id) === part ? [] : [id]))
}

/** Rows with labels of Zipf's frequencies, from a few to half of the rows; some rows have several. */
function zipfRows(count: number, labelCount: number, seed: number): Dataset {
  const random = seededRandom(seed)
  const labels = Array.from({ length: labelCount }, (_, label) => `label-${label}`)
  const rows = Array.from({ length: count }, (_, row): Row => {
    const targets = Float32Array.from(labels, (_label, place) =>
      random.next() < 0.5 / (place + 1) ** 1.5 ? 1 : 0,
    )
    return { id: `row-${row}`, text: `text number ${row}`, targets }
  })
  return { labels, rows }
}

const countOf = ({ rows }: Dataset, label: number): number =>
  rows.filter(({ targets }) => targets[label] === 1).length

test('parts have about their share of the rows', () => {
  const split = splitByHash(many(2000), fractions)
  assert.ok(Math.abs(split.dev.rows.length - 400) < 60)
  assert.ok(Math.abs(split.test.rows.length - 200) < 45)
  assert.equal(split.train.rows.length + split.dev.rows.length + split.test.rows.length, 2000)
  assert.deepEqual(split.notes, [])
})

test('a row keeps its part while the data grows', () => {
  const [small, large] = [splitByHash(many(300), fractions), splitByHash(many(900), fractions)]
  assert.deepEqual(changedParts(small, large), [])
})

test('the parts do not depend on the order of rows and labels', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1_000 }), (seed) => {
      const { labels, rows } = zipfRows(150, 12, seed)
      const shuffled = seededRandom(seed).shuffle([...rows])
      const reversed = shuffled.map((row) => ({ ...row, targets: row.targets.toReversed() }))
      const split = splitByHash({ labels, rows }, fractions)
      const other = splitByHash({ labels: labels.toReversed(), rows: reversed }, fractions)
      assert.deepEqual(changedParts(split, other), [])
    }),
    { numRuns: 50, seed: 1 },
  )
})

test('rows with the same text but for case and punctuation are on one side', () => {
  const variant = fc.constantFrom('Hello, World!', 'hello world', ' HELLO  WORLD ', 'hello-world?')
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 2, maxLength: 8 }),
      variant,
      (ids, text) => {
        const { labels, rows } = many(60)
        const same = dataset(ids.map((id) => ({ id: `dup ${id}`, text }))).rows
        const parts = partsOf(splitByHash({ labels, rows: [...rows, ...same] }, fractions))
        assert.equal(new Set(ids.map((id) => parts.get(`dup ${id}`))).size, 1)
      },
    ),
  )
})

test('rows with a word changed, left out or added are on one side, whatever their labels', () => {
  const sentence = 'we moved into the old house by the lake in the spring of that year'.split(' ')
  fc.assert(
    fc.property(
      fc.nat(),
      fc.nat(14),
      fc.constantFrom([], ['word'], ['two', 'words']),
      (seed, place, words) => {
        const { labels, rows } = zipfRows(120, 8, seed)
        const edited = sentence.toSpliced(place, 1, ...words).join(' ')
        const near = [sentence.join(' '), edited].map((text, copy): Row => ({
          id: `near-${copy}-${seed}`,
          text,
          targets: Float32Array.from(labels, (_, label) => (label % 2 === copy ? 1 : 0)),
        }))
        const parts = partsOf(splitByHash({ labels, rows: [...rows, ...near] }, fractions))
        assert.equal(parts.get(`near-0-${seed}`), parts.get(`near-1-${seed}`))
      },
    ),
    { seed: 1 },
  )
})

test('texts of a template are split all the same, and it is said', () => {
  const rows = Array.from({ length: 400 }, (_, row) => ({
    id: `id-${row}`,
    text: `your parcel number ${row} has arrived at the station, please collect it before friday evening`,
  }))
  const split = splitByHash(dataset(rows), fractions)
  assert.ok(split.dev.rows.length > 40)
  assert.match(split.notes[0] ?? '', /^400 texts are alike as if from templates/)
})

test('a label with positives has them in train first, then in dev, then in test', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10_000 }), fc.integer({ min: 1, max: 5 }), (salt, count) => {
      const { labels, rows } = many(80)
      const rare = Array.from({ length: count }, (_, row): Row => ({
        id: `rare-${salt}-${row}`,
        text: `rare ${row} of ${salt}`,
        targets: Float32Array.of(0, 1),
      }))
      const others = rows.map((row) => ({ ...row, targets: Float32Array.of(1, 0) }))
      const split = splitByHash({ labels: [...labels, 'rare'], rows: [...others, ...rare] }, fractions)
      const counts = splitParts.map((part) => countOf(split[part], 1))
      for (const [place, found] of counts.entries()) {
        assert.ok(found >= (count > place ? 1 : 0), `${count} positives: ${counts.join(', ')}`)
      }
    }),
    { numRuns: 300, seed: 1 },
  )
})

test('no part has less than half of its share of a label, and what moves is little', () => {
  let moved = 0
  for (let seed = 0; seed < 20; seed++) {
    const data = zipfRows(1_500, 40, seed)
    const split = splitByHash(data, fractions)
    data.labels.forEach((label, place) => {
      const total = countOf(data, place)
      for (const [part, share] of [
        ['dev', 0.2],
        ['test', 0.1],
        ['train', 0.7],
      ] as const) {
        const needed = Math.floor((total * share) / 2)
        assert.ok(countOf(split[part], place) >= needed, `seed ${seed}, ${label} in ${part}`)
      }
    })
    const byHash = splitByHash({ labels: [], rows: data.rows }, fractions)
    moved += changedParts(byHash, split).length
  }
  assert.ok(moved > 0, 'nothing had to move: the test shows nothing')
  assert.ok(moved / (20 * 1_500) < 0.015, `${moved} rows moved`)
})

test('with rare labels hardly a row changes its part while the data grows', () => {
  let changed = 0
  for (let seed = 0; seed < 20; seed++) {
    const { labels, rows } = zipfRows(1_100, 40, seed)
    const before = splitByHash({ labels, rows: rows.slice(0, 1_000) }, fractions)
    const after = splitByHash({ labels, rows }, fractions)
    changed += changedParts(before, after).length
  }
  assert.ok(changed > 0, 'no row changed: the test shows nothing')
  assert.ok(changed / (20 * 1_000) < 0.004, `${changed} rows changed their part`)
})

test('soft targets count from one half on, unknown ones never', () => {
  const { rows } = many(40)
  const labelled = rows.map((row, place) => ({
    ...row,
    targets: Float32Array.of(1, place === 0 ? 0.5 : place === 1 ? 0.9 : place < 20 ? 0.4 : NaN),
  }))
  const split = splitByHash({ labels: ['a', 'soft'], rows: labelled }, { dev: 0.2, test: 0 })
  const parts = partsOf(split)
  assert.notEqual(parts.get('id-0'), parts.get('id-1'))
})

test('rows whose text is in a given dev part, or nearly so, are not trained on', () => {
  const sentence = 'we moved into the old house by the lake in the spring'
  const rows = [
    { id: '1', text: 'Same text.' },
    { id: '2', text: 'other' },
    { id: '3', text: `${sentence} again` },
  ]
  const { train, notes } = withoutTextsOf(
    dataset(rows),
    dataset([
      { id: '9', text: 'same TEXT' },
      { id: '8', text: sentence },
    ]),
  )
  assert.deepEqual(
    train.rows.map(({ id }) => id),
    ['2'],
  )
  assert.deepEqual(notes, ['left out of training: 2 rows whose texts are in dev, too, or nearly so'])
  assert.deepEqual(withoutTextsOf(dataset(rows), many(3)).notes, [])
})

test('too few rows are refused, labels without positives and moved texts are told', async () => {
  await throwsCode(() => splitByHash(many(1), fractions), 'DATA_INVALID', /too few/)
  const rows = many(100).rows.map((row, place) => ({
    ...row,
    targets: Float32Array.of(0, place === 0 ? 1 : 0, place < 2 ? 1 : 0, 1),
  }))
  const labels = ['none', 'single', 'pair', 'all']
  const split = splitByHash({ labels, rows }, fractions)
  assert.deepEqual(splitWarnings(split), [
    'no positive in the data: label none',
    'no positive in the dev part, so that thresholds come from other labels: label single',
  ])
  const parts = partsOf(split)
  assert.deepEqual([parts.get('id-0'), parts.get('id-1')], ['train', 'dev'])
  const moves = (['id-0', 'id-1'] as const).filter(
    (id) => partsOf(splitByHash(many(100), fractions)).get(id) !== parts.get(id),
  )
  assert.equal(split.notes.length, moves.length)
  for (const note of split.notes) {
    assert.match(
      note,
      /^1 text moved to the (dev|train) part, where its hash left too few positives: label (single|pair)$/,
    )
  }
})
