import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import type { LabelScores } from '../../src/formats/scores.ts'
import { openModel } from '../../src/models/folder.ts'
import { defaultTextRunner } from '../../src/models/text-runner.ts'
import { type EventOfInput, Rescorer } from '../../src/stream/rescorer.ts'
import { Serving } from '../../src/stream/serving.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { writeSmallModel } from '../support/small-model.ts'

const precisions = ['fp32', 'int8'] as const
type Precision = (typeof precisions)[number]

let modelsFolder: string
/** Events of ten texts by each of two versions in each of two precisions, in turn. */
let events: EventOfInput[]

const serve = async (version: string, precision: string): Promise<Serving> =>
  Serving.start(await openModel(`small@${version}`, modelsFolder), {
    ...defaultTextRunner,
    ...{ threads: 1, maxTokens: 0, precision: precision as Precision },
  })

before(async () => {
  modelsFolder = await temporaryFolder()
  const texts = Array.from({ length: 10 }, (_, index) => `text number ${index} ${'and more '.repeat(index)}`)
  const byModel: EventOfInput[][] = []
  for (const seed of [1, 2]) {
    const { version } = await writeSmallModel(modelsFolder, seed)
    for (const precision of precisions) {
      const serving = await serve(version, precision)
      byModel.push(await eventsOf(serving, texts))
      await serving.close()
    }
  }
  events = texts.flatMap((_text, row) => byModel.flatMap((some) => some.slice(row, row + 1)))
})

async function eventsOf(serving: Serving, texts: readonly string[]): Promise<EventOfInput[]> {
  const scored = await serving.score(texts)
  const tokenized = await serving.scorer.tokenizer.tokenize(texts)
  return scored.map(({ scores, decided }, row) => {
    const { windows = [], tokens = 0, truncated = false } = tokenized[row] ?? {}
    const event: LabelScores = {
      eventId: `texts/0/${row}`,
      id: `id-${row}`,
      source: { topic: 'texts', partition: 0, offset: row, timestamp: 1_000 },
      model: serving.scorer.model,
      scores: Object.fromEntries(serving.model.labels.map((label, column) => [label, scores[column] ?? NaN])),
      labels: decided,
      ...{ tokens, truncated, windows: windows.length, scoredAt: 2_000 },
    }
    return { event, input: { id: event.id, text: texts[row] ?? '' } }
  })
}

test('events of several versions and precisions are each scored by their own, and agree', async (t) => {
  let starts = 0
  const rescorer = new Rescorer({
    start: ({ version, precision }) => {
      starts++
      return serve(version, precision)
    },
    examples: 5,
  })
  t.after(() => rescorer.close())
  await rescorer.rescore(events)
  assert.equal(starts, 4, 'texts of one version share a start')
  const { rescored, differing, largestDifference, modelMissing } = rescorer.findings()
  assert.deepEqual([rescored, differing, modelMissing], [40, 0, 0])
  assert.ok(largestDifference < 0.25)
  const fp32 = new Rescorer({ start: ({ version }) => serve(version, 'fp32'), examples: 5 })
  t.after(() => fp32.close())
  await fp32.rescore(events.filter(({ event }) => event.model.precision === 'fp32'))
  assert.ok(fp32.findings().largestDifference < 1e-4)
})

test('events scored by another version than they name differ, and the first are named', async (t) => {
  const [first, second] = [...new Set(events.map(({ event }) => event.model.version))]
  const swapped = (version: string): string => (version === first ? (second ?? '') : (first ?? ''))
  const rescorer = new Rescorer({
    start: ({ version }) => serve(swapped(version), 'fp32'),
    examples: 3,
  })
  t.after(() => rescorer.close())
  await rescorer.rescore(events.filter(({ event }) => event.model.precision === 'fp32'))
  const { rescored, differing, examples } = rescorer.findings()
  assert.deepEqual([rescored, differing, examples.length], [20, 20, 3])
  assert.equal(examples[0]?.contradiction, 'scores')
})

test('a version that cannot be had is asked for once and its events are counted; other errors are told', async (t) => {
  let asked = 0
  const rescorer = new Rescorer({
    start: ({ precision, version }) => {
      if (precision === 'fp32') return serve(version, precision)
      asked++
      return Promise.reject(new LabelstreamError('MODEL_NOT_FOUND', 'there is no such model'))
    },
    examples: 3,
  })
  t.after(() => rescorer.close())
  for (const half of [events.slice(0, 20), events.slice(20)]) await rescorer.rescore(half)
  const { rescored, differing, modelMissing, models } = rescorer.findings()
  assert.deepEqual([asked, rescored, differing, modelMissing], [2, 20, 0, 20])
  assert.deepEqual(
    models.map((model) => [model.precision, model.events, model.why]),
    [1, 2].map(() => ['int8', 10, 'there is no such model']),
  )
  const broken = new Rescorer({
    start: () => Promise.reject(new LabelstreamError('INFERENCE_CRASHED', 'it crashed')),
    examples: 3,
  })
  await assert.rejects(broken.rescore(events), /it crashed/)
})

test('an input that can no longer be decoded contradicts its event', async (t) => {
  const rescorer = new Rescorer({ start: ({ version }) => serve(version, 'fp32'), examples: 3 })
  t.after(() => rescorer.close())
  const fp32 = events.filter(({ event }) => event.model.precision === 'fp32').slice(0, 4)
  await rescorer.rescore(
    fp32.map(({ event, input }, row) => ({ event, input: row === 2 ? undefined : input })),
  )
  const { rescored, differing, examples } = rescorer.findings()
  assert.deepEqual([rescored, differing, examples[0]?.contradiction], [4, 1, 'input'])
})
