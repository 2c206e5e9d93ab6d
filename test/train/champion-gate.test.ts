import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/core/paths.ts'
import { matrix } from '../../src/evaluation/matrix.ts'
import { promote } from '../../src/models/champion.ts'
import { exportModel } from '../../src/models/export.ts'
import { openModel } from '../../src/models/folder.ts'
import { importModel } from '../../src/models/import.ts'
import { defaultTextRunner } from '../../src/models/text-runner.ts'
import { passGate } from '../../src/train/champion-gate.ts'
import { type Dataset, targetsOf } from '../../src/train/dataset.ts'
import type { Contender } from '../../src/train/gate.ts'
import { retrain } from '../../src/train/retrain.ts'
import { temporaryFolder } from '../support/model-folder.ts'

const subjects = ['cat', 'dog', 'horse', 'parrot', 'car', 'train', 'bicycle', 'lorry']
const sentences = [
  'We saw the THING.',
  'The THING is old.',
  'Her THING was loud.',
  'I like this THING.',
  'A THING!',
]
const texts = sentences.flatMap((sentence, form) =>
  subjects.map((thing, place) => ({
    id: `${thing}-${form}`,
    text: sentence.replace('THING', thing),
    labels: new Map([[place < 4 ? 'animal' : 'vehicle', 1]]),
    absent: 'negative' as const,
  })),
)

/** The same texts over other labels: 1 where the text has the label, 0 where it has not. */
const rowsOf = (...labels: string[]): Dataset => ({
  labels,
  rows: texts.map((row) => ({
    ...row,
    targets: Float32Array.from(labels, (label) => row.labels.get(label) ?? 0),
  })),
})

/** Scores that are right for every label, or wrong for the named ones. */
function contender(rows: Dataset, wrong: readonly string[] = []): Contender {
  const { rows: count, columns, values } = targetsOf(rows)
  const scores = values.map((target, cell) =>
    wrong.includes(rows.labels[cell % columns] ?? '') ? 1 - target : target,
  )
  return { scores: matrix(count, columns, scores), thresholds: rows.labels.map(() => 0.5) }
}

test('the champion is met on the labels that both have, by name', async () => {
  const folder = await temporaryFolder()
  const names = { name: 'things', modelsFolder: join(folder, 'models'), runner: defaultTextRunner }
  const pass = (rows: Dataset, candidate: Contender) => passGate(names, candidate, rows, 1)
  const first = rowsOf('animal', 'vehicle')
  assert.deepEqual(await pass(first, contender(first)), {
    passed: true,
    reasons: ['there is no champion to compare with'],
  })

  const champion = await retrain({
    ...names,
    data: { source: 'sentences', texts },
    base: join(packageRoot, 'models', 'minilm-l6', '1'),
    strategy: 'frozen-linear',
    cacheFolder: join(folder, 'cache'),
    hyperparameters: { epochs: 30, learningRate: 0.02, seed: 4 },
    promote: true,
  })
  assert.equal(champion.promoted, true)

  const reordered = rowsOf('vehicle', 'animal')
  assert.equal((await pass(reordered, contender(reordered))).passed, true)
  assert.equal((await pass(reordered, contender(reordered, ['animal', 'vehicle']))).passed, false)

  const more = rowsOf('new', 'vehicle', 'animal')
  const untried = await pass(more, contender(more, ['new']))
  assert.equal(untried.passed, true)
  assert.equal(
    untried.reasons.at(-1),
    'compared on the labels that both have (2); new: 1, no longer there: 0',
  )
  assert.equal((await pass(more, contender(more, ['animal', 'vehicle']))).passed, false)

  const fewer = await pass(rowsOf('animal', 'new'), contender(rowsOf('animal', 'new'), ['animal']))
  assert.equal(fewer.passed, false)
  assert.match(fewer.reasons.at(-1) ?? '', /that both have \(1\); new: 1, no longer there: 1$/)

  // a champion that came as a graph in int8
  const exported = join(folder, 'exported')
  await exportModel(await openModel(champion.path, '/nowhere'), exported, 'onnx', 'int8')
  const graph = await importModel(exported, {
    name: 'things',
    modelsFolder: names.modelsFolder,
    goldenTexts: [],
  })
  await promote(names.modelsFolder, 'things', graph.version)
  assert.equal((await pass(reordered, contender(reordered))).passed, true)
  assert.equal((await pass(reordered, contender(reordered, ['animal', 'vehicle']))).passed, false)

  const other = rowsOf('other')
  assert.match((await pass(other, contender(other))).reasons.join(), /has other labels; nothing to compare/)
})
