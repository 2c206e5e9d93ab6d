import assert from 'node:assert/strict'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { readSafetensors } from '../../src/formats/safetensors.ts'
import { openModel } from '../../src/models/folder.ts'
import { defaultTextRunner } from '../../src/models/text-runner.ts'
import { compare } from '../../src/train/compare.ts'
import { renderComparison } from '../../src/train/compare-page.ts'
import type { LabeledTexts } from '../../src/train/dataset.ts'
import { type RetrainOptions, retrain } from '../../src/train/retrain.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { throwsCode } from '../support/throws-code.ts'
import { writeTinyEncoder } from '../support/tiny-encoder.ts'

const colours = ['red', 'green', 'blue', 'white']
const places = ['garden', 'kitchen', 'garage', 'office']
const things = ['chair', 'table', 'lamp', 'door', 'box', 'bag', 'cup', 'book', 'shoe', 'clock']

/** A thing of a colour, a thing in a place, or both. */
const data: LabeledTexts = {
  source: 'things',
  texts: things.flatMap((thing) =>
    colours.flatMap((colour, index) => {
      const place = places[index] ?? ''
      return [
        row(`${thing} ${colour}`, `a ${colour} ${thing}`, ['colour']),
        row(`${thing} ${place}`, `the ${thing} in the ${place}`, ['place']),
        row(`${thing} ${colour} ${place}`, `the ${colour} ${thing} in the ${place}`, ['colour', 'place']),
      ]
    }),
  ),
}

function row(id: string, text: string, labels: readonly string[]) {
  return { id, text, labels: new Map(labels.map((label) => [label, 1])), absent: 'negative' as const }
}

async function options(strategy: string): Promise<RetrainOptions> {
  const folder = await temporaryFolder()
  return {
    data,
    base: await writeTinyEncoder(folder),
    name: 'things',
    strategy,
    modelsFolder: join(folder, 'models'),
    cacheFolder: join(folder, 'cache'),
    hyperparameters: { epochs: 20, batch: 8, learningRate: 5e-3, headLearningRate: 1e-2, seed: 2 },
    fractions: { dev: 0.2, test: 0.2 },
    promote: false,
    runner: defaultTextRunner,
  }
}

for (const strategy of ['full-linear', 'full-dense', 'full-after-frozen', 'per-label']) {
  test(`${strategy} gives a version that serves what was trained, and leaves no checkpoint`, async () => {
    const settings = await options(strategy)
    const phases = new Set<string>()
    const result = await retrain(settings, ({ phase }) => phases.add(phase))
    assert.ok(phases.has('train') && phases.has('write'))
    assert.ok(result.metrics.macroF1 > 0.9, `macro-F1 ${result.metrics.macroF1}`)
    assert.ok(result.trainableParameters > 366_000)
    assert.ok(result.steps > 0 && result.tokensPerSecond > 0)
    assert.deepEqual(result.warnings, [])
    const { manifest } = await openModel(result.path, settings.modelsFolder)
    assert.equal(manifest.strategy, strategy)
    assert.equal(manifest.hyperparameters['headLearningRate'], 1e-2)
    const left = await readdir(settings.cacheFolder).catch((): string[] => [])
    assert.deepEqual(
      left.filter((name) => name.startsWith('training-')),
      [],
    )
  })
}

for (const family of ['roberta', 'distilbert'] as const) {
  test(`${family} is trained, stored under its own names, and served`, async () => {
    const base = await writeTinyEncoder(await temporaryFolder(), family)
    for (const strategy of ['full-linear', 'frozen-dense', 'per-label']) {
      const settings = await options(strategy)
      const frozen = { epochs: 60, learningRate: 0.02, seed: 4 }
      const result = await retrain({
        ...settings,
        base,
        checkInt8: true,
        ...(strategy === 'frozen-dense' ? { hyperparameters: frozen } : {}),
      })
      const least = strategy === 'frozen-dense' ? 0.7 : 0.9
      assert.ok(result.metrics.macroF1 > least, `${strategy}: macro-F1 ${result.metrics.macroF1}`)
      const weights = readSafetensors(await readFile(join(result.path, 'model.safetensors')))
      const names = [...weights.keys()]
      assert.ok(names.some((name) => name.includes(`${family}.embeddings.word_embeddings.weight`)))
      assert.deepEqual(
        names.filter((name) => /(^|\.)bert\./.test(name)),
        [],
      )
    }
  })
}

test('a setting for int8 serving does not reach training', async () => {
  const settings = await options('full-linear')
  const runner = { ...defaultTextRunner, precision: 'int8' } as const
  const result = await retrain({ ...settings, runner, hyperparameters: { epochs: 1 } })
  assert.deepEqual(result.warnings, [])
})

test('with the pooler, the folder is what transformers loads without code', async () => {
  const settings = await options('full-linear')
  const { path, digest } = await retrain({ ...settings, pooling: 'pooler', hyperparameters: { epochs: 1 } })
  const config = JSON.parse(await readFile(join(path, 'config.json'), 'utf8')) as Record<string, unknown>
  assert.deepEqual(config['architectures'], ['BertForSequenceClassification'])
  assert.equal(config['auto_map'], undefined)
  assert.ok(!(await readdir(path)).includes('modeling_labelstream.py'))
  assert.equal((await openModel(path, settings.modelsFolder)).digest, digest)
})

test('a pooling that a frozen encoder does not have is refused', async () => {
  const settings = await options('frozen-linear')
  await throwsCode(() => retrain({ ...settings, pooling: 'cls' }), 'SETTING_INVALID', /pools by mean/)
})

test('the same command after an interruption gives the digest of an undisturbed training', async () => {
  const settings = await options('full-linear')
  const whole = await retrain(settings)
  const controller = new AbortController()
  const interrupted = { ...settings, cacheFolder: `${settings.cacheFolder}-2`, name: 'again' }
  await assert.rejects(
    retrain({ ...interrupted, signal: controller.signal }, ({ phase, done }) => {
      if (phase === 'train' && done > 0) controller.abort()
    }),
    (error) => error instanceof LabelstreamError && error.code === 'INTERRUPTED',
  )
  assert.equal((await retrain(interrupted)).digest, whole.digest)
})

test('a model a label that would be too large to serve is refused before any work', async () => {
  const settings = await options('per-label')
  const labels = Array.from({ length: 1_500 }, (_, label) => `label ${label}`)
  await throwsCode(
    () => retrain({ ...settings, labels: ['colour', 'place', ...labels] }),
    'SETTING_INVALID',
    /at most 2 GB; take full-linear/,
  )
})

test('a thousand labels are trained', async () => {
  const settings = await options('full-linear')
  const labels = Array.from({ length: 1_000 }, (_, label) => `label ${label}`)
  const result = await retrain({
    ...settings,
    labels: ['colour', 'place', ...labels],
    hyperparameters: { epochs: 1 },
  })
  assert.equal(Object.keys(result.metrics.perLabel).length, 1_002)
})

test('strategies are compared on the same rows, one is recommended with a reason, nothing is kept', async () => {
  const settings = await options('')
  const strategies = ['full-linear', 'frozen-linear', 'per-label']
  const comparison = await compare({ ...settings, strategies })
  assert.deepEqual(
    comparison.rows.map(({ strategy }) => strategy),
    strategies,
  )
  for (const row of comparison.rows) {
    for (const [name, value] of Object.entries(row)) {
      if (name !== 'strategy') assert.ok(Number(value) > 0, `${row.strategy}: ${name} is ${value}`)
    }
  }
  assert.equal(comparison.measuredOn, 'test')
  assert.ok(strategies.includes(comparison.recommended))
  assert.match(comparison.why, /^\S.+\.$/)
  const page = renderComparison(data.source, comparison)
  assert.ok(page.includes(comparison.recommended) && page.includes('</html>'))
  assert.deepEqual(await readdir(settings.cacheFolder), [])
})

test('labels of one class and labels that nobody knows are trained and served', async () => {
  const settings = await options('full-linear')
  const texts = data.texts.map(({ labels, ...text }) => ({
    ...text,
    labels: new Map<string, number | null>([...labels, ['always', 1], ['unknown', null]]),
  }))
  const result = await retrain({
    ...settings,
    data: { source: 'things', texts },
    labels: ['colour', 'place', 'always', 'never', 'unknown'],
    hyperparameters: { epochs: 1 },
  })
  assert.ok(result.warnings.some((warning) => /^no positive in the data: .*never/.test(warning)))
  const { decision } = await openModel(result.path, settings.modelsFolder)
  for (const { threshold, calibrator } of decision.labels) {
    assert.ok([threshold, calibrator.slope, calibrator.intercept].every(Number.isFinite))
  }
})

test('one text is refused: nothing is left to choose thresholds with', async () => {
  const settings = await options('full-linear')
  const one = { source: 'one', texts: data.texts.slice(0, 1) }
  await throwsCode(() => retrain({ ...settings, data: one }), 'DATA_INVALID', /too few/)
})
