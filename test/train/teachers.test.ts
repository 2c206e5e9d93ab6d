import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openModel } from '../../src/models/folder.ts'
import { defaultTextRunner } from '../../src/models/text-runner.ts'
import { type Dataset, targetsOf } from '../../src/train/dataset.ts'
import { modelScores } from '../../src/train/model-scores.ts'
import { type RetrainOptions, retrain } from '../../src/train/retrain.ts'
import { taughtTargets } from '../../src/train/teachers.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { throwsCode } from '../support/throws-code.ts'
import { writeTinyEncoder } from '../support/tiny-encoder.ts'

const colours = ['red', 'green', 'blue', 'white']
const things = ['chair', 'table', 'lamp', 'door', 'box', 'bag', 'cup', 'book', 'shoe', 'clock']
const texts = things.flatMap((thing) => [
  ...colours.map((colour) => textOf(`a ${colour} ${thing}`, 'colour')),
  textOf(`the ${thing} in the garden`, 'place'),
])

function textOf(text: string, label: string) {
  return { id: text, text, labels: new Map([[label, 1]]), absent: 'negative' as const }
}

async function optionsOf(folder: string): Promise<RetrainOptions> {
  return {
    data: { source: 'things', texts },
    base: await writeTinyEncoder(folder),
    name: 'things',
    strategy: 'full-linear',
    modelsFolder: join(folder, 'models'),
    cacheFolder: join(folder, 'cache'),
    hyperparameters: { epochs: 6, batch: 8, learningRate: 5e-3, headLearningRate: 1e-2 },
    fractions: { dev: 0.2, test: 0.2 },
    promote: false,
    runner: defaultTextRunner,
  }
}

const folder = await temporaryFolder()
const options = await optionsOf(folder)
const first = await retrain(options)
const teacher = `things@${first.version}`
const context = {
  modelsFolder: options.modelsFolder,
  runner: options.runner,
  dataDigest: first.data.digest,
  onProgress: () => undefined,
}

/** The teacher's labels and one it has never heard of; known, soft and unknown targets. */
const rows: Dataset = {
  labels: ['place', 'size', 'colour'],
  rows: [
    { id: '1', text: 'a red chair', targets: Float32Array.of(0, 1, 1) },
    { id: '2', text: 'the lamp in the garden', targets: Float32Array.of(0.25, NaN, NaN) },
  ],
}

test("known targets move to the mean of the teachers' scores, unknown ones become it, other labels stay", async () => {
  const model = await openModel(teacher, options.modelsFolder)
  const scores = await modelScores(
    model,
    rows.rows.map(({ text }) => text),
    options.runner,
  )
  const of = (row: number, label: string): number =>
    scores.values[row * scores.columns + model.labels.indexOf(label)] ?? NaN
  const { targets, by } = await taughtTargets(rows, { models: [teacher, teacher], weight: 0.4 }, context)
  const expected = [
    0.4 * of(0, 'place'),
    1,
    0.6 + 0.4 * of(0, 'colour'),
    0.6 * 0.25 + 0.4 * of(1, 'place'),
    NaN,
    of(1, 'colour'),
  ]
  expected.forEach((value, cell) => {
    const taught = targets.values[cell] ?? 0
    assert.ok(Number.isNaN(value) ? Number.isNaN(taught) : Math.abs(taught - value) < 1e-6, `cell ${cell}`)
  })
  assert.deepEqual(
    by.teachers.map(({ name }) => name),
    [teacher, teacher],
  )
  const untouched = await taughtTargets(rows, { models: [teacher], weight: 0 }, context)
  assert.deepEqual(untouched.targets.values.subarray(0, 4), targetsOf(rows).values.subarray(0, 4))
})

test('a teacher of other rows is warned of, and one without a label of the data is refused', async () => {
  const asked = { models: [teacher], weight: 0.5 }
  assert.deepEqual((await taughtTargets(rows, asked, context)).warnings, [])
  const { warnings } = await taughtTargets(rows, asked, { ...context, dataDigest: 'other' })
  assert.match(warnings.join(), /trained on other rows/)
  const strangers = { labels: ['size'], rows: [{ id: '1', text: 'x', targets: Float32Array.of(1) }] }
  await throwsCode(() => taughtTargets(strangers, asked, context), 'DATA_INVALID', /--teacher things@/)
})

test('a training that is interrupted while its teacher scores ends there', async () => {
  const interruption = new AbortController()
  const many: Dataset = {
    labels: rows.labels,
    rows: Array.from({ length: 2_000 }, (_, row) => ({
      id: `${row}`,
      text: `a red chair ${row}`,
      targets: Float32Array.of(0, 1, 1),
    })),
  }
  const heard: number[] = []
  const interrupted = {
    ...context,
    signal: interruption.signal,
    onProgress: ({ done }: { done: number }) => {
      heard.push(done)
      interruption.abort()
    },
  }
  await throwsCode(
    () => taughtTargets(many, { models: [teacher], weight: 0.5 }, interrupted),
    'INTERRUPTED',
    /interrupted/,
  )
  assert.ok(heard.length > 0 && Math.max(...heard) < many.rows.length)
})

test('a taught training is another training, and its version says who taught it', async () => {
  const taught = await retrain({ ...options, teachers: { models: [teacher], weight: 0.5 } })
  assert.notEqual(taught.digest, first.digest)
  assert.deepEqual(taught.warnings, first.warnings)
  const { manifest } = await openModel(`things@${taught.version}`, options.modelsFolder)
  assert.equal(manifest.hyperparameters['teachers'], `${teacher} (${first.digest})`)
  assert.equal(manifest.hyperparameters['teacherWeight'], 0.5)
  assert.ok((await readFile(taught.report, 'utf8')).includes(teacher))
})
