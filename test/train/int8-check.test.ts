import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { activationRangesFile } from '../../src/encoders/activation-ranges.ts'
import { openModel } from '../../src/models/folder.ts'
import { autoPrecisionOnCpu } from '../../src/models/served-precision.ts'
import { defaultTextRunner } from '../../src/models/text-runner.ts'
import { Serving } from '../../src/stream/serving.ts'
import type { LabeledTexts } from '../../src/train/dataset.ts'
import { type RetrainOptions, retrain } from '../../src/train/retrain.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { writeTinyEncoder } from '../support/tiny-encoder.ts'

const things = ['chair', 'table', 'lamp', 'door', 'box', 'bag', 'cup', 'book', 'shoe', 'clock']
const row = (text: string, label: string) => ({
  id: text,
  text,
  labels: new Map([[label, 1]]),
  absent: 'negative' as const,
})
const data: LabeledTexts = {
  source: 'things',
  texts: things.flatMap((thing) => [
    row(`a red ${thing}`, 'colour'),
    row(`a blue ${thing}`, 'colour'),
    row(`the ${thing} in the garden`, 'place'),
    row(`the ${thing} in the office`, 'place'),
  ]),
}

async function options(checkInt8: boolean): Promise<RetrainOptions> {
  const folder = await temporaryFolder()
  return {
    data,
    base: await writeTinyEncoder(folder),
    name: 'things',
    strategy: 'frozen-linear',
    modelsFolder: join(folder, 'models'),
    cacheFolder: join(folder, 'cache'),
    hyperparameters: { epochs: 5, seed: 2 },
    fractions: { dev: 0.4, test: 0 },
    promote: false,
    checkInt8,
    runner: { ...defaultTextRunner, threads: 1 },
  }
}

test('a checked version records how far int8 is from fp32, has thresholds for it, and is served as the check says', async () => {
  const settings = await options(true)
  const { path, int8Check } = await retrain(settings)
  assert.ok(int8Check !== undefined)
  assert.ok(int8Check.rows >= 10 && int8Check.rows < data.texts.length)
  assert.ok(int8Check.maxScoreDifference > 0 && int8Check.maxScoreDifference < 0.2)
  assert.ok(int8Check.meanScoreDifference <= int8Check.maxScoreDifference)
  const model = await openModel(path, settings.modelsFolder)
  assert.deepEqual(model.manifest.int8Check, int8Check)
  assert.equal(model.int8Decision?.precision, 'int8')
  assert.notDeepEqual(model.int8Decision.labels, model.decision.labels)
  const serving = await Serving.start(model, { ...settings.runner, precision: 'auto', maxTokens: 0 })
  await serving.close()
  assert.equal(serving.scorer.model.precision, int8Check.passed ? 'int8' : 'fp32')
  assert.equal(autoPrecisionOnCpu(model.manifest), int8Check.passed ? 'int8' : 'fp32')
})

test('in int8 a version brings the ranges of its activations, and a text scores the same alone and in company', async () => {
  const settings = await options(false)
  const { path } = await retrain(settings)
  const model = await openModel(path, settings.modelsFolder)
  assert.ok(Object.hasOwn(model.fileDigests, activationRangesFile))
  const serving = await Serving.start(model, { ...settings.runner, precision: 'int8', maxTokens: 0 })
  const text = 'the lamp in the garden'
  const company = [text, 'a red chair', 'the door in the office and the box and the bag and a clock']
  const [alone] = await serving.score([text])
  const [together] = await serving.score(company)
  await serving.close()
  alone?.scores.forEach((score, column) => {
    assert.ok(Math.abs(score - (together?.scores[column] ?? NaN)) < 1e-3)
  })
})

test('nobody asked: nothing is compared, and auto is fp32', async () => {
  const settings = await options(false)
  const { path, int8Check } = await retrain(settings)
  const model = await openModel(path, settings.modelsFolder)
  assert.equal(int8Check, undefined)
  assert.equal(model.int8Decision, undefined)
  assert.equal(autoPrecisionOnCpu(model.manifest), 'fp32')
})
