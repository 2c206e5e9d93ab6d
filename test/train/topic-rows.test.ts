import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { SourceMessage } from '../../src/formats/message.ts'
import { type LabeledTexts, datasetOf } from '../../src/train/dataset.ts'
import { defaultRowOptions } from '../../src/train/json-lines.ts'
import { goneByContent, goneByOffset } from '../../src/train/recorded-rows.ts'
import { type TopicSpan, latestRows, rowsOfTopic } from '../../src/train/topic-rows.ts'
import type { TopicSource } from '../../src/models/data-manifest.ts'
import { throwsCode } from '../support/throws-code.ts'

interface Given {
  readonly at: readonly [partition: number, offset: number]
  readonly key: string | null
  readonly value: object | null
  readonly timestampMs?: number
}

const stream = (given: readonly Given[]): AsyncIterable<SourceMessage> =>
  Readable.from(
    given.map(({ at: [partition, offset], key, value, timestampMs = 0 }): SourceMessage => ({
      topic: 'labels',
      partition,
      offset,
      timestampMs,
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(JSON.stringify(value)),
      headers: {},
    })),
  )
const noSchemas = { schemaById: () => Promise.reject(new Error('no registry')) } as never
const span: TopicSpan = {
  topic: 'labels',
  topicId: 'J7Zq0000000000000000aA',
  partitions: [
    { partition: 0, from: 10, to: 13 },
    { partition: 1, from: 5, to: 11 },
    { partition: 2, from: 7, to: 7 },
  ],
}
const read = (given: readonly Given[], options = defaultRowOptions): Promise<LabeledTexts> =>
  rowsOfTopic(span, stream(given), options, noSchemas)
const textsOf = ({ texts }: LabeledTexts): string[] => texts.map(({ text }) => text)

test('the latest message of a key counts, a tombstone removes, messages without a key all count', async () => {
  const data = await read([
    { at: [1, 5], key: 'a', value: { text: 'a old', labels: ['x'] } },
    { at: [0, 10], key: 'b', value: { text: 'b', labels: ['x'] } },
    { at: [0, 11], key: null, value: { text: 'no key', labels: [] } },
    { at: [0, 12], key: null, value: { text: 'no key either', labels: [] } },
    { at: [1, 6], key: 'c', value: { text: 'c', labels: ['x'] } },
    { at: [1, 7], key: 'd', value: null },
    { at: [1, 8], key: 'd', value: { text: 'd again', labels: ['x'] } },
    { at: [1, 9], key: 'a', value: { text: 'a new', labels: ['y'] } },
    { at: [1, 10], key: 'c', value: null },
  ])
  assert.deepEqual(textsOf(data), ['b', 'no key', 'no key either', 'd again', 'a new'])
  assert.equal(data.source, 'topic labels 0:10-13 1:5-11')
})

test('a key that more partitions have scattered: the latest timestamp wins, also with a tombstone', async () => {
  const row = (text: string) => ({ text, labels: ['x'] })
  const data = await read([
    { at: [0, 10], key: 'a', value: row('a of partition 0'), timestampMs: 9 },
    { at: [0, 11], key: 'b', value: row('b of partition 0'), timestampMs: 1 },
    { at: [0, 12], key: 'c', value: row('c of partition 0'), timestampMs: 1 },
    { at: [1, 5], key: 'a', value: row('a of partition 1'), timestampMs: 8 },
    { at: [1, 6], key: 'b', value: row('b of partition 1'), timestampMs: 2 },
    { at: [1, 7], key: 'c', value: null, timestampMs: 2 },
    // within a partition the offset decides, whatever the clock says
    { at: [1, 8], key: 'b', value: row('b of partition 1, newer'), timestampMs: 1.5 },
  ])
  assert.deepEqual(textsOf(data), ['a of partition 0', 'b of partition 1, newer'])
})

test('soft and unknown labels, and a label that was not there before, become columns', async () => {
  const given: Given[] = [
    { at: [0, 10], key: 'a', value: { text: 'named', labels: ['x'] } },
    { at: [0, 11], key: 'b', value: { text: 'soft', labels: { x: 0.25, y: null } } },
    { at: [1, 5], key: 'c', value: { text: 'new label', labels: { z: true } } },
    { at: [1, 6], key: 'd', value: { text: 'none', labels: [] } },
  ]
  const targets = async (absent: 'negative' | 'unknown'): Promise<number[][]> => {
    const dataset = datasetOf(await read(given, { ...defaultRowOptions, absent }))
    assert.deepEqual(dataset.labels, ['x', 'y', 'z'])
    return dataset.rows.map((row) => [...row.targets])
  }
  assert.deepEqual(await targets('negative'), [
    [1, 0, 0],
    [0.25, NaN, 0],
    [0, 0, 1],
    [0, 0, 0],
  ])
  // a list says that no other label applies, a map only what it says
  assert.deepEqual(await targets('unknown'), [
    [1, 0, 0],
    [0.25, NaN, NaN],
    [NaN, NaN, 1],
    [0, 0, 0],
  ])
})

test('a message that is no labelled text is refused with its place', async () => {
  await throwsCode(
    () => read([{ at: [3, 7], key: 'a', value: { text: 'x' } }]),
    'DATA_INVALID',
    /labels\/3\/7/,
  )
})

/** 2,500 rows in partition 0, 10 in partition 1. */
const long: Given[] = [
  ...Array.from({ length: 2_500 }, (_, row): Given => ({
    at: [0, row],
    key: `k${row}`,
    value: { text: `text ${row}`, labels: ['x'] },
  })),
  ...Array.from({ length: 10 }, (_, row): Given => ({
    at: [1, row],
    key: `other${row}`,
    value: { text: `other ${row}`, labels: [] },
  })),
]
const longSpan: TopicSpan = {
  topic: 'labels',
  partitions: [
    { partition: 0, from: 0, to: 2_500 },
    { partition: 1, from: 0, to: 10 },
  ],
}
const recordedOf = async (given: readonly Given[]): Promise<TopicSource> => {
  const { origin } = await rowsOfTopic(longSpan, stream(given), defaultRowOptions, noSchemas)
  assert.equal(origin?.kind, 'topic')
  return origin
}
const goneOf = async (recorded: TopicSource, given: readonly Given[]): Promise<string[]> =>
  goneByContent(recorded, await latestRows(stream(given), defaultRowOptions, noSchemas))

test('segments say where rows were, and the same records give the same ones', async () => {
  const recorded = await recordedOf(long)
  assert.deepEqual(
    recorded.partitions.map(({ segments }) => segments.map(({ from, to, rows }) => [from, to, rows])),
    [
      [
        [0, 1_000, 1_000],
        [1_000, 2_000, 1_000],
        [2_000, 2_500, 500],
      ],
      [[0, 10, 10]],
    ],
  )
  assert.deepEqual(await recordedOf(long), recorded)
  assert.deepEqual(await goneOf(recorded, long), [])
})

test('rows that are gone or others are told with their place', async () => {
  const recorded = await recordedOf(long)
  const without = long.filter(({ at: [partition, offset] }) => partition !== 0 || offset !== 1_234)
  assert.deepEqual(await goneOf(recorded, without), [
    'labels/0 offsets 1000 to 1999 have 999 of 1000 rows left (compaction removed the others)',
  ])
  const relabelled = long.map((row): Given =>
    row.at[0] === 1 && row.at[1] === 3 ? { ...row, value: { text: 'other 3', labels: ['x'] } } : row,
  )
  assert.deepEqual(await goneOf(recorded, relabelled), ['labels/1 offsets 0 to 9 have other rows'])
})

test('a record that was superseded may be gone', async () => {
  const rewritten: Given[] = long.map((row) => (row.at[1] === 0 ? { ...row, key: 'k7' } : row))
  const recorded = await recordedOf(rewritten)
  assert.equal(recorded.partitions[0]?.segments[0]?.from, 1)
  const trimmed = rewritten.filter(({ at: [partition, offset] }) => partition !== 0 || offset > 0)
  assert.deepEqual(await goneOf(recorded, trimmed), [])
  const now = { topic: 'labels', partitions: [{ partition: 0, from: 1, to: 2_500 }, longSpan.partitions[1]!] }
  assert.deepEqual(goneByOffset(recorded, now), [])
})

test('offsets tell what is gone before anything is read', async () => {
  const recorded = await recordedOf(long)
  const [first, second] = longSpan.partitions
  assert.ok(first !== undefined && second !== undefined)
  assert.deepEqual(goneByOffset(recorded, longSpan), [])
  assert.deepEqual(
    goneByOffset(recorded, { topic: 'labels', partitions: [{ ...first, from: 1_500, to: 9_000 }] }),
    [
      'labels/0 offsets 0 to 1499 are gone (retention or deleted records): it begins at 1500 now',
      'labels/1 does not exist any more',
    ],
  )
  assert.deepEqual(
    goneByOffset(recorded, {
      topic: 'labels',
      partitions: [
        { ...first, to: 20 },
        { ...second, from: 10 },
      ],
    }),
    [
      'labels/0 ends before offset 20, the manifest reads it up to 2500',
      'labels/1 offsets 0 to 9 are gone (retention or deleted records): it begins at 10 now',
    ],
  )
})
