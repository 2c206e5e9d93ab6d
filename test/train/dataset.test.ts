import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import type { SourceMessage } from '../../src/formats/message.ts'
import { datasetDigest, datasetOf, latestById, positivesOf } from '../../src/train/dataset.ts'
import { defaultRowOptions, readJsonLines } from '../../src/train/json-lines.ts'
import { rowsOfTopic } from '../../src/train/topic-rows.ts'
import { throwsCode } from '../support/throws-code.ts'

async function jsonLines(t: TestContext, ...lines: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'labelstream-data-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'rows.jsonl')
  await writeFile(path, lines.join('\n'))
  return path
}

test('lists of names and soft maps become rows over the labels in order of first appearance', async (t) => {
  const data = await readJsonLines(
    await jsonLines(
      t,
      '{"id":"1","text":"one","labels":["b","a"]}',
      '',
      '{"id":"2","text":"two","labels":{"a":0.3,"c":null}}',
    ),
  )
  const dataset = datasetOf(data)
  assert.deepEqual(dataset.labels, ['b', 'a', 'c'])
  assert.deepEqual(
    dataset.rows.map(({ targets }) => [...targets]),
    [
      [1, 1, 0],
      [0, Math.fround(0.3), NaN],
    ],
  )
  assert.deepEqual([...positivesOf(dataset)], [1, 1 + Math.fround(0.3), 0])
  assert.match(data.source, /^rows\.jsonl sha256:[0-9a-f]{64}$/)
})

test('labels that a soft map does not name can be unknown', async (t) => {
  const path = await jsonLines(t, '{"text":"x","labels":{"a":1}}', '{"text":"y","labels":{"b":1}}')
  const data = await readJsonLines(path, { ...defaultRowOptions, absent: 'unknown' })
  assert.deepEqual(
    datasetOf(data).rows.map(({ targets }) => [...targets]),
    [
      [1, NaN],
      [NaN, 1],
    ],
  )
  assert.deepEqual(
    data.texts.map(({ id }) => id),
    ['rows.jsonl/0/1', 'rows.jsonl/0/2'],
  )
})

test('a bad line is named with its number and reason, never with its text', async (t) => {
  const good = '{"text":"fine","labels":[]}'
  for (const [line, reason] of [
    ['{"text":"secret words","labels":["a"', /line 2: not valid JSON/],
    ['{"text":"secret words"}', /line 2: .*labels/],
    ['{"text":"","labels":[]}', /line 2: .*empty/],
    ['{"text":"secret words","labels":{"a":2}}', /line 2: .*between 0 and 1/],
  ] as const) {
    const path = await jsonLines(t, good, line)
    const error = await throwsCode(() => readJsonLines(path), 'DATA_INVALID', reason)
    assert.doesNotMatch(error.message, /secret/)
  }
  await throwsCode(() => readJsonLines('/nowhere/rows.jsonl'), 'FILE_UNREADABLE', /nowhere/)
})

test('no rows, no labels and labels outside of the given ones are refused', async (t) => {
  const empty = await readJsonLines(await jsonLines(t, ''))
  await throwsCode(() => datasetOf(empty), 'DATA_INVALID', /no rows/)
  const unlabelled = await readJsonLines(await jsonLines(t, '{"text":"x","labels":[]}'))
  await throwsCode(() => datasetOf(unlabelled), 'DATA_INVALID', /no label/)
  const other = await readJsonLines(await jsonLines(t, '{"id":"7","text":"x","labels":["z"]}'))
  await throwsCode(() => datasetOf(other, ['a']), 'DATA_INVALID', /row 7: "z" is none of the 1 labels/)
})

test('of several rows with one id the last stays, and the digest follows the content', async (t) => {
  const path = await jsonLines(
    t,
    '{"id":"1","text":"old","labels":["a"]}',
    '{"id":"2","text":"two","labels":["a"]}',
    '{"id":"1","text":"new","labels":[]}',
  )
  const { source, texts } = await readJsonLines(path)
  const latest = latestById(texts)
  assert.deepEqual(
    latest.map(({ text }) => text),
    ['new', 'two'],
  )
  const digest = datasetDigest(datasetOf({ source, texts: latest }, ['a']))
  assert.equal(digest, datasetDigest(datasetOf({ source: 'elsewhere', texts: latest }, ['a'])))
  assert.notEqual(digest, datasetDigest(datasetOf({ source, texts: latest }, ['a', 'b'])))
})

const message = (
  partition: number,
  offset: number,
  key: string | null,
  value: object | null,
): SourceMessage => ({
  topic: 'labels',
  partition,
  offset,
  timestampMs: 0,
  key: key === null ? null : Buffer.from(key),
  value: value === null ? null : Buffer.from(JSON.stringify(value)),
  headers: {},
})
const stream = (...messages: readonly SourceMessage[]): AsyncIterable<SourceMessage> =>
  Readable.from(messages)
const noSchemas = { schemaById: () => Promise.reject(new Error('no registry')) } as never
const rows = (...messages: readonly SourceMessage[]) =>
  rowsOfTopic('labels', stream(...messages), defaultRowOptions, noSchemas)

test('of a topic the latest message of a key counts, a tombstone removes, and the source names the offsets', async () => {
  const { source, texts } = await rows(
    message(1, 5, 'a', { text: 'a old', labels: ['x'] }),
    message(0, 10, 'b', { text: 'b', labels: ['x'] }),
    message(0, 11, null, { text: 'no key', labels: [] }),
    message(0, 12, null, { text: 'no key either', labels: [] }),
    message(1, 6, 'c', { text: 'c', labels: ['x'] }),
    message(1, 9, 'a', { text: 'a new', labels: ['y'] }),
    message(1, 10, 'c', null),
  )
  assert.deepEqual(
    texts.map(({ text }) => text),
    ['b', 'no key', 'no key either', 'a new'],
  )
  assert.equal(source, 'topic labels 0:10-13 1:5-11')
})

test('a message that is no labelled text is refused with its place', async () => {
  await throwsCode(() => rows(message(3, 7, 'a', { text: 'x' })), 'DATA_INVALID', /labels\/3\/7/)
})
