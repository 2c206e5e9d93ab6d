import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/core/paths.ts'
import { readSafetensors } from '../../src/formats/safetensors.ts'
import { readChampion } from '../../src/models/champion.ts'
import { openModel } from '../../src/models/folder.ts'
import { defaultTextRunner } from '../../src/models/text-runner.ts'
import { verifyFolder } from '../../src/models/verify.ts'
import type { LabeledTexts } from '../../src/train/dataset.ts'
import { evaluate } from '../../src/train/evaluate.ts'
import { type RetrainOptions, retrain } from '../../src/train/retrain.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { throwsCode } from '../support/throws-code.ts'

const animals = ['cat', 'dog', 'horse', 'parrot', 'hamster', 'rabbit']
const vehicles = ['car', 'train', 'bicycle', 'lorry', 'tram', 'ferry']
const sentences = ['We saw the THING.', 'The THING is old.', 'Her THING was loud.', 'I like this THING.']

/** Sentences about animals, vehicles, or both. */
const data: LabeledTexts = {
  source: 'sentences',
  texts: sentences.flatMap((sentence, form) => [
    ...animals.map((thing) => row(`${thing}-${form}`, sentence.replace('THING', thing), ['animal'])),
    ...vehicles.map((thing) => row(`${thing}-${form}`, sentence.replace('THING', thing), ['vehicle'])),
    ...animals.map((thing, place) =>
      row(`both-${thing}-${form}`, sentence.replace('THING', `${thing} on the ${vehicles[place]}`), [
        'animal',
        'vehicle',
      ]),
    ),
  ]),
}

function row(id: string, text: string, labels: readonly string[]) {
  const values = new Map<string, number | null>(labels.map((label) => [label, 1]))
  return { id, text, labels: values, absent: 'negative' as const }
}

async function options(changes: Partial<RetrainOptions> = {}): Promise<RetrainOptions> {
  const folder = await temporaryFolder()
  return {
    data,
    base: join(packageRoot, 'models', 'minilm-l6', '1'),
    name: 'things',
    strategy: 'frozen-linear',
    modelsFolder: join(folder, 'models'),
    cacheFolder: join(folder, 'cache'),
    hyperparameters: { epochs: 30, learningRate: 0.02, seed: 4 },
    fractions: { dev: 0.3, test: 0.2 },
    promote: true,
    runner: defaultTextRunner,
    ...changes,
  }
}

test('a training gives a verified version that serves what was trained; a worse one stays a candidate', async () => {
  const settings = await options()
  const phases = new Set<string>()
  const labelNoiseFolder = join(settings.modelsFolder, '..', 'noise')
  const result = await retrain({ ...settings, labelNoiseFolder }, ({ phase }) => phases.add(phase))
  assert.deepEqual([...phases], ['encode', 'train', 'compare', 'labels', 'write'])
  assert.ok(result.metrics.macroF1 > 0.9, `macro-F1 ${result.metrics.macroF1}`)
  assert.equal(result.promoted, true)
  assert.equal(result.trainableParameters, 2 * 384 + 2)
  assert.equal(await readChampion(settings.modelsFolder, 'things'), result.version)

  const { manifest, unknownFiles } = await verifyFolder(result.path)
  assert.deepEqual(unknownFiles, [])
  assert.equal(manifest.kind, 'classifier')
  const config = JSON.parse(await readFile(join(result.path, 'config.json'), 'utf8')) as Record<
    string,
    unknown
  >
  assert.equal(config.problem_type, 'multi_label_classification')
  assert.deepEqual(config.label2id, { animal: 0, vehicle: 1 })
  assert.ok(Object.hasOwn(manifest.files, 'modeling_labelstream.py'), 'the code that auto_map names is there')
  assert.ok(!JSON.stringify(manifest).includes('horse'), 'a manifest holds no training text')
  const report = await readFile(result.report, 'utf8')
  assert.ok(!report.includes('horse'), 'a report holds no training text')
  assert.equal(report.match(/<svg/g)?.length, 4)
  assert.ok(report.includes('Worst mistakes on dev'))
  assert.ok(report.includes('Given labels that look wrong'))
  assert.doesNotMatch(
    report.replaceAll(/xmlns(:xlink)?="[^"]*"/g, ''),
    /https?:|<script|src=|href=|url\((?!#)/,
  )

  const noise = result.labelNoise ?? assert.fail('labels were not checked')
  assert.equal(noise.rows, data.texts.length)
  assert.deepEqual(
    noise.labels.map(({ label, positives }) => [label, positives]),
    [
      ['animal', 48],
      ['vehicle', 48],
    ],
  )
  assert.equal(noise.file, join(labelNoiseFolder, `things-${result.version}.jsonl`))
  const lines = (await readFile(noise.file, 'utf8')).split('\n').filter((line) => line !== '')
  assert.equal(lines.length, noise.disagreements)

  const model = await openModel('things', settings.modelsFolder)
  const evaluation = await evaluate(model, data, { threshold: 'tuned', runner: defaultTextRunner })
  assert.equal(evaluation.rows, data.texts.length)
  assert.ok(evaluation.macroF1 > 0.9)

  const worse = await retrain({ ...settings, hyperparameters: { epochs: 1, learningRate: 1e-6 } })
  assert.equal(worse.gate.passed, false)
  assert.equal(worse.promoted, false)
  assert.equal(await readChampion(settings.modelsFolder, 'things'), result.version)
  assert.equal((await openModel(`things@${worse.version}`, settings.modelsFolder)).digest, worse.digest)
})

test('the same training gives the same digest, from a filled cache as from an empty one', async () => {
  const settings = await options({ strategy: 'frozen-dense', hyperparameters: { epochs: 3 } })
  const first = await retrain(settings)
  const cached = await retrain({ ...settings, name: 'again' })
  assert.equal(cached.digest, first.digest)
  assert.equal(cached.tokensPerSecond, 0)
})

test("the encoder's tensors are written byte for byte, in their order, before the head", async () => {
  const settings = await options({ hyperparameters: { epochs: 1 } })
  const { path } = await retrain(settings)
  const base = readSafetensors(await readFile(join(settings.base, 'model.safetensors')))
  const trained = readSafetensors(await readFile(join(path, 'model.safetensors')))
  assert.deepEqual([...trained.keys()], [...base.keys(), 'classifier.weight', 'classifier.bias'])
  for (const [name, { data: bytes }] of base) {
    assert.equal(Buffer.compare(bytes, trained.get(name)?.data ?? Buffer.alloc(0)), 0, name)
  }
})

test('predictions are one line a row in the order of the data', async () => {
  const settings = await options({ hyperparameters: { epochs: 2 } })
  const { path } = await retrain(settings)
  const predictionsPath = join(settings.modelsFolder, 'out.jsonl')
  const model = await openModel(path, settings.modelsFolder)
  await evaluate(model, data, { threshold: 0, predictionsPath, runner: defaultTextRunner })
  const lines = (await readFile(predictionsPath, 'utf8')).trim().split('\n')
  const predictions = lines.map(
    (line) => JSON.parse(line) as { id: string; scores: object; labels: string[] },
  )
  assert.deepEqual(
    predictions.map(({ id }) => id),
    data.texts.map(({ id }) => id),
  )
  assert.deepEqual(Object.keys(predictions[0]?.scores ?? {}), ['animal', 'vehicle'])
  assert.equal(predictions[0]?.labels.length, 2)
})

test('what cannot be trained is refused before any work, and an abort leaves no version', async () => {
  const settings = await options()
  await throwsCode(() => retrain({ ...settings, strategy: 'frozen' }), 'SETTING_INVALID', /frozen-linear/)
  await throwsCode(() => retrain({ ...settings, base: 'nothing' }), 'MODEL_NOT_FOUND', /nothing/)
  await throwsCode(() => retrain({ ...settings, signal: AbortSignal.abort() }), 'INTERRUPTED', /no version/)
})
