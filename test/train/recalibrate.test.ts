import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { activationRangesFile } from '../../src/encoders/activation-ranges.ts'
import { promote, readChampion } from '../../src/models/champion.ts'
import { exportModel } from '../../src/models/export.ts'
import { type Model, openModel } from '../../src/models/folder.ts'
import { importModel } from '../../src/models/import.ts'
import { autoPrecisionOnCpu } from '../../src/models/served-precision.ts'
import { defaultTextRunner } from '../../src/models/text-runner.ts'
import { Serving } from '../../src/stream/serving.ts'
import type { LabeledTexts } from '../../src/train/dataset.ts'
import { modelLogits } from '../../src/train/model-scores.ts'
import { type RecalibrateOptions, recalibrate } from '../../src/train/recalibrate.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { savedModel } from '../support/saved-model.ts'
import { throwsCode } from '../support/throws-code.ts'

const runner = { ...defaultTextRunner, threads: 1 }
const words = ['hello', 'world', 'bread', 'code', 'red', 'blue', 'one', 'two']

/** Four different words a text, so that no two are near-duplicates. */
const texts = words.flatMap((a) =>
  words.flatMap((b) => (a === b ? [] : [`${a} ${b} ${b} ${a} ${a}`, `${a} ${a} ${a} ${b}`])),
)

async function imported(): Promise<{ readonly model: Model; readonly modelsFolder: string }> {
  const modelsFolder = await temporaryFolder()
  const { path } = await importModel(await savedModel(), {
    name: 'taken',
    modelsFolder,
    licence: 'MIT',
    goldenTexts: ['Hello world', 'one two red blue'],
    runner,
  })
  return { model: await openModel(path, modelsFolder), modelsFolder }
}

/** Rows where a label is given to the half of the texts that score highest for it, wherever 0.5 is. */
async function halfPositive(model: Model): Promise<LabeledTexts> {
  const { values, columns } = await modelLogits(model, texts, runner)
  const middles = model.labels.map((_label, column) => {
    const own = texts.map((_text, row) => values[row * columns + column] ?? NaN).sort((a, b) => a - b)
    return own[own.length >> 1] ?? NaN
  })
  return {
    source: 'halves',
    texts: texts.map((text, row) => ({
      id: text,
      text,
      labels: new Map(
        model.labels
          .filter((_label, column) => (values[row * columns + column] ?? NaN) >= (middles[column] ?? NaN))
          .map((label) => [label, 1]),
      ),
      absent: 'negative' as const,
    })),
  }
}

test('a model from elsewhere gets thresholds and int8 from labelled texts, and keeps its weights', async () => {
  const { model, modelsFolder } = await imported()
  await promote(modelsFolder, model.name, model.version)
  const options: RecalibrateOptions = {
    model,
    data: await halfPositive(model),
    modelsFolder,
    checkInt8: true,
    promote: true,
    runner,
  }
  const phases = new Set<string>()
  const result = await recalibrate(options, ({ phase }) => phases.add(phase))
  assert.deepEqual([...phases], ['encode', 'compare', 'write'])
  assert.ok(result.metrics.macroF1 > 0.9, `held out ${result.metrics.macroF1}`)
  assert.ok(result.before.macroF1 < 0.8, `before ${result.before.macroF1}`)
  assert.equal(result.gate.passed, true)
  assert.equal(await readChampion(modelsFolder, model.name), result.version)

  const made = await openModel(result.path, modelsFolder)
  for (const file of ['model.safetensors', 'config.json', 'tokenizer.json']) {
    assert.equal(made.fileDigests[file], model.fileDigests[file], file)
  }
  assert.notEqual(made.digest, model.digest)
  assert.deepEqual(made.labels, model.labels)
  assert.equal(made.manifest.strategy, 'imported')
  const { calibratedOn } = made.manifest
  assert.deepEqual(
    [calibratedOn?.version, calibratedOn?.source, calibratedOn?.rows],
    [model.version, 'halves', texts.length],
  )
  assert.match(
    await readFile(join(made.folder, 'README.md'), 'utf8'),
    /fitted anew on 112 rows from `halves`/,
  )
  assert.ok(Object.hasOwn(made.fileDigests, activationRangesFile))
  assert.equal(made.int8Decision?.precision, 'int8')
  assert.deepEqual(made.manifest.int8Check, result.int8Check)

  // starting compares the golden scores, which are those of the new calibrators
  const serving = await Serving.start(made, { ...runner, precision: 'auto', maxTokens: 0 })
  await serving.close()
  assert.equal(serving.scorer.model.precision, autoPrecisionOnCpu(made.manifest))

  const again = await recalibrate({ ...options, model: made, promote: false, checkInt8: undefined })
  assert.ok(again.int8Check !== undefined, 'what was compared before is compared again')
  assert.equal(again.digest, result.digest, 'the same rows choose the same')
})

test('rows that cannot choose anything are refused, and nothing is written', async () => {
  const { model, modelsFolder } = await imported()
  const data = await halfPositive(model)
  const given = (changed: readonly LabeledTexts['texts'][number][]): RecalibrateOptions => ({
    model,
    data: { source: 'few', texts: changed },
    modelsFolder,
    promote: true,
    runner,
  })
  const [first] = data.texts
  assert.ok(first !== undefined)
  const foreign = { ...first, labels: new Map([['fourth', 1]]) }
  await throwsCode(() => recalibrate(given([foreign])), 'DATA_INVALID', /few, row .*"fourth" is none/)
  const alike = [first, { ...first, id: 'copy' }]
  await throwsCode(() => recalibrate(given(alike)), 'DATA_INVALID', /few has 2 rows, all alike/)
  await throwsCode(() => recalibrate(given([])), 'DATA_INVALID', /few has no rows/)
  assert.equal(await readChampion(modelsFolder, model.name), undefined)
})

test('a graph that is served as it is gets thresholds, and has no int8 to check', async () => {
  const { model, modelsFolder } = await imported()
  const data = await halfPositive(model)
  const out = join(await temporaryFolder(), 'exported')
  await exportModel(model, out, 'onnx')
  const { path } = await importModel(out, {
    name: 'graph',
    modelsFolder,
    goldenTexts: ['Hello world'],
    runner,
  })
  const graph = await openModel(path, modelsFolder)
  const options = { model: graph, data, modelsFolder, promote: false, runner }
  await throwsCode(
    () => recalibrate({ ...options, checkInt8: true }),
    'SETTING_INVALID',
    /graph@.* has a graph that is served as it is/,
  )
  const { metrics, before } = await recalibrate(options)
  assert.ok(metrics.macroF1 > 0.9 && before.macroF1 < 0.8)
})
