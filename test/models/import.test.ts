import assert from 'node:assert/strict'
import { readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/core/paths.ts'
import { openModel } from '../../src/models/folder.ts'
import { importModel } from '../../src/models/import.ts'
import { TextRunner, defaultTextRunner } from '../../src/models/text-runner.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { savedModel } from '../support/saved-model.ts'
import { throwsCode } from '../support/throws-code.ts'

const options = async () => ({
  name: 'taken',
  modelsFolder: await temporaryFolder(),
  licence: 'MIT',
  goldenTexts: ['Hello world', 'one two red blue'],
})

test('a classifier that transformers saved becomes a version, its files as they were', async () => {
  const folder = await savedModel()
  const imported = await importModel(folder, await options())
  const model = await openModel(imported.path, '/nowhere')
  assert.deepEqual(model.labels, ['first', 'second', 'third'])
  assert.equal(model.maxTokens, 48)
  assert.equal(model.manifest.strategy, 'imported')
  for (const file of await readdir(folder)) {
    assert.deepEqual(await readFile(join(imported.path, file)), await readFile(join(folder, file)), file)
  }
  const [first] = model.manifest.golden
  assert.equal(first?.text, 'Hello world')
  assert.ok(Object.values(first?.scores ?? {}).every((score) => score > 0 && score < 1))
})

test('a version imported elsewhere stays what it is: weights, decisions, windows, and what is said about it', async () => {
  const model = await openModel('advice', join(packageRoot, 'models'))
  const imported = await importModel(model.folder, { ...(await options()), licence: undefined })
  assert.equal(imported.digest, model.digest)
  const taken = await openModel(imported.path, '/nowhere')
  for (const field of ['strategy', 'metrics', 'data', 'int8Check', 'licence', 'maxTokens'] as const) {
    assert.deepEqual(taken.manifest[field], model.manifest[field], field)
  }
  assert.deepEqual([taken.decision, taken.int8Decision], [model.decision, model.int8Decision])
})

test('a folder that cannot be served is refused with the reason, and nothing is written', async () => {
  const settings = await options()
  const refused = async (folder: string, code: 'MODEL_UNSUPPORTED' | 'MODEL_CORRUPT', reason: RegExp) => {
    await throwsCode(() => importModel(folder, settings), code, reason)
    assert.deepEqual(await readdir(settings.modelsFolder), [])
  }
  await refused(await savedModel({ architectures: ['BertModel'] }), 'MODEL_UNSUPPORTED', /no labels/)
  await refused(
    await savedModel({ problem_type: 'single_label_classification' }),
    'MODEL_UNSUPPORTED',
    /single_label_classification/,
  )
  await refused(await savedModel({ id2label: { 0: 'a', 1: 'b' } }), 'MODEL_CORRUPT', /classifier\.weight/)
  await refused(await savedModel({ model_type: 'gpt2' }), 'MODEL_UNSUPPORTED', /gpt2/)
  const incomplete = await savedModel()
  await rm(join(incomplete, 'model.safetensors'))
  await refused(incomplete, 'MODEL_UNSUPPORTED', /no model\.safetensors: save it with/)
  const broken = await savedModel()
  await writeFile(join(broken, 'config.json'), '{')
  await refused(broken, 'MODEL_CORRUPT', /config\.json/)
})

test('of a long text each score is the highest of its windows', async () => {
  const folder = await savedModel()
  const start = (maxTokens: number, maxWindows: number) =>
    TextRunner.start({ folder, fileDigests: {}, maxTokens }, 'logits', {
      ...defaultTextRunner,
      maxWindows,
      strideTokens: 0,
    })
  const runner = await start(6, 4)
  try {
    const parts = ['one two red blue', 'hello world bread code', 'two two two two']
    const { values, truncated } = await runner.run([parts.join(' '), ...parts])
    assert.equal(truncated, 0)
    for (let label = 0; label < 3; label++) {
      const [whole, ...single] = [0, 1, 2, 3].map((row) => values.values[row * 3 + label] ?? NaN)
      assert.ok(Math.abs((whole ?? NaN) - Math.max(...single)) < 1e-5)
    }
    const cut = await runner.run([[...parts, ...parts].join(' ')])
    assert.equal(cut.truncated, 1)
    assert.equal(cut.tokens > 0, true)
  } finally {
    await runner.close()
  }
})
