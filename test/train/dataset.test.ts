import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { datasetDigest, datasetOf, latestById, positivesOf } from '../../src/train/dataset.ts'
import { defaultRowOptions, readJsonLines } from '../../src/train/json-lines.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { throwsCode } from '../support/throws-code.ts'

async function jsonLines(...lines: readonly string[]): Promise<string> {
  const folder = await temporaryFolder()
  const path = join(folder, 'rows.jsonl')
  await writeFile(path, lines.join('\n'))
  return path
}

test('lists of names and soft maps become rows over the labels in order of first appearance', async () => {
  const data = await readJsonLines(
    await jsonLines(
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

test('labels that a soft map does not name can be unknown', async () => {
  const path = await jsonLines('{"text":"x","labels":{"a":1}}', '{"text":"y","labels":{"b":1}}')
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

test('a bad line is named with its number and reason, never with its text', async () => {
  const good = '{"text":"fine","labels":[]}'
  for (const [line, reason] of [
    ['{"text":"secret words","labels":["a"', /line 2: not valid JSON/],
    ['{"text":"secret words"}', /line 2: .*labels/],
    ['{"text":"","labels":[]}', /line 2: .*empty/],
    ['{"text":"secret words","labels":{"a":2}}', /line 2: .*between 0 and 1/],
  ] as const) {
    const path = await jsonLines(good, line)
    const error = await throwsCode(() => readJsonLines(path), 'DATA_INVALID', reason)
    assert.doesNotMatch(error.message, /secret/)
  }
  await throwsCode(() => readJsonLines('/nowhere/rows.jsonl'), 'FILE_UNREADABLE', /nowhere/)
})

test('no rows, no labels and labels outside of the given ones are refused', async () => {
  const empty = await readJsonLines(await jsonLines(''))
  await throwsCode(() => datasetOf(empty), 'DATA_INVALID', /no rows/)
  const unlabelled = await readJsonLines(await jsonLines('{"text":"x","labels":[]}'))
  await throwsCode(() => datasetOf(unlabelled), 'DATA_INVALID', /no label/)
  const other = await readJsonLines(await jsonLines('{"id":"7","text":"x","labels":["z"]}'))
  await throwsCode(() => datasetOf(other, ['a']), 'DATA_INVALID', /row 7: "z" is none of the 1 labels/)
})

test('of several rows with one id the last stays, and the digest follows the content', async () => {
  const path = await jsonLines(
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
