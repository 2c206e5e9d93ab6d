import assert from 'node:assert/strict'
import { cp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/core/paths.ts'
import { readSafetensors, writeSafetensors } from '../../src/formats/safetensors.ts'
import { openEncoder, openModel } from '../../src/models/folder.ts'
import { importEncoder } from '../../src/models/import-encoder.ts'
import { listModels } from '../../src/models/versions.ts'
import { defaultTextRunner } from '../../src/models/text-runner.ts'
import { retrain } from '../../src/train/retrain.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { savedModel } from '../support/saved-model.ts'
import { throwsCode } from '../support/throws-code.ts'

const options = async () => ({ name: 'base', modelsFolder: await temporaryFolder(), licence: 'MIT' })

/** What sentence-transformers saves: a model without a head and without the family's prefix. */
async function savedEncoder(family: 'roberta' | 'distilbert'): Promise<string> {
  const folder = await savedModel()
  const fixture = join(packageRoot, 'test', 'fixtures', 'families', family)
  const config = JSON.parse(await readFile(join(fixture, 'config.json'), 'utf8')) as Record<string, unknown>
  delete config['id2label']
  await writeFile(join(folder, 'config.json'), JSON.stringify({ ...config, architectures: ['SomeModel'] }))
  const tensors = readSafetensors(await readFile(join(fixture, 'model.safetensors')))
  const bare = [...tensors].flatMap(([name, tensor]) =>
    name.startsWith(`${family}.`) ? [[name.slice(family.length + 1), tensor] as const] : [],
  )
  await writeFile(join(folder, 'model.safetensors'), writeSafetensors(new Map(bare)))
  return folder
}

const row = (text: string, label: string) => ({
  id: text,
  text,
  labels: new Map([[label, 1]]),
  absent: 'negative' as const,
})
const words = ['hello', 'world', 'bread', 'code', 'one', 'two']
const data = {
  source: 'colours',
  texts: words.flatMap((a) =>
    words.flatMap((b) => [row(`${a} red ${b}`, 'warm'), row(`${a} blue ${b}`, 'cold')]),
  ),
}

for (const family of ['roberta', 'distilbert'] as const) {
  test(`a saved ${family} encoder is named, and trained from with and without a trained encoder`, async () => {
    const settings = await options()
    const folder = await savedEncoder(family)
    await writeFile(join(folder, 'modeling.py'), 'raise SystemExit')
    const { path, version } = await importEncoder(folder, settings)
    assert.deepEqual((await readdir(path)).sort(), [
      'config.json',
      'manifest.json',
      'model.safetensors',
      'tokenizer.json',
    ])
    const encoder = await openEncoder('base', settings.modelsFolder)
    assert.deepEqual([encoder.name, encoder.licence, encoder.folder], ['base', 'MIT', path])
    assert.deepEqual(
      (await listModels(settings.modelsFolder)).map(({ name, kind, champion }) => [name, kind, champion]),
      [['base', 'encoder', version]],
    )
    await throwsCode(() => openModel('base', settings.modelsFolder), 'MODEL_UNSUPPORTED', /without labels/)
    for (const strategy of ['full-linear', 'frozen-linear']) {
      const rate = strategy === 'frozen-linear' ? 0.05 : 5e-3
      const { metrics } = await retrain({
        data,
        base: 'base',
        name: 'colours',
        strategy,
        modelsFolder: settings.modelsFolder,
        cacheFolder: await temporaryFolder(),
        hyperparameters: { epochs: 20, batch: 8, learningRate: rate, headLearningRate: 1e-2, seed: 2 },
        fractions: { dev: 0.3, test: 0 },
        promote: false,
        runner: defaultTextRunner,
      })
      assert.ok(metrics.macroF1 > 0.8, `${strategy}: macro-F1 ${metrics.macroF1}`)
    }
  })
}

test("the encoder of a classifier is taken, and a name keeps meaning its first version", async () => {
  const settings = await options()
  const folder = await savedModel()
  const first = await importEncoder(folder, settings)
  const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as object
  await writeFile(join(folder, 'config.json'), JSON.stringify({ ...config, hidden_dropout_prob: 0.2 }))
  const second = await importEncoder(folder, { ...settings, licence: 'Apache-2.0' })
  assert.notEqual(second.digest, first.digest)
  assert.equal((await openEncoder('base', settings.modelsFolder)).digest, first.digest)
  const { licence, digest } = await openEncoder(`base@${second.version}`, settings.modelsFolder)
  assert.deepEqual([licence, digest], ['Apache-2.0', second.digest])
})

test('an encoder of this program brings its licence', async () => {
  const settings = { ...(await options()), licence: undefined }
  const { path } = await importEncoder(join(packageRoot, 'models', 'minilm-l6', '1'), settings)
  assert.equal((await openEncoder(path, '/nowhere')).licence, 'Apache-2.0')
})

test('what cannot be trained is refused with the reason, and nothing is written', async () => {
  const settings = await options()
  const refused = async (
    folder: string,
    code: 'MODEL_UNSUPPORTED' | 'MODEL_CORRUPT' | 'USAGE',
    reason: RegExp,
    changes: { readonly licence?: undefined } = {},
  ): Promise<void> => {
    await throwsCode(() => importEncoder(folder, { ...settings, ...changes }), code, reason)
    assert.deepEqual(await readdir(settings.modelsFolder), [])
  }
  await refused(await savedModel({ model_type: 'gpt2' }), 'MODEL_UNSUPPORTED', /gpt2/)
  await refused(await savedModel({ hidden_size: 36 }), 'MODEL_CORRUPT', /word_embeddings\.weight is/)
  await refused(await savedModel(), 'USAGE', /--licence is missing/, { licence: undefined })
  const graph = await savedModel()
  await cp(join(graph, 'model.safetensors'), join(graph, 'model.onnx'))
  await rm(join(graph, 'model.safetensors'))
  await refused(graph, 'MODEL_UNSUPPORTED', /has no model\.safetensors/)
})
