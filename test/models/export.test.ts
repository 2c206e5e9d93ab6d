import assert from 'node:assert/strict'
import { cp, mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { modelsExport } from '../../src/commands/models-export.ts'
import { sha256 } from '../../src/core/digest.ts'
import { onnxModelType } from '../../src/graph/onnx.ts'
import { exportModel } from '../../src/models/export.ts'
import { openEncoder, openModel } from '../../src/models/folder.ts'
import { importModel } from '../../src/models/import.ts'
import { defaultTextRunner, servedWindows, TextRunner } from '../../src/models/text-runner.ts'
import { verifyFolder } from '../../src/models/verify.ts'
import { Serving } from '../../src/stream/serving.ts'
import { TokenizerPool } from '../../src/text/tokenizer-pool.ts'
import { commandContext } from '../support/command-context.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { largestDifference } from '../support/onnx-session.ts'
import { writeSmallModel } from '../support/small-model.ts'
import { throwsCode } from '../support/throws-code.ts'

const texts = ['Use a sharp knife.', 'my advice is to learn to cook, and to write it down', 'hello']

const smallModel = async (seed = 1) =>
  openModel((await writeSmallModel(await temporaryFolder(), seed)).path, '/nowhere')
type SmallModel = Awaited<ReturnType<typeof smallModel>>

/** Logits [texts, labels] as this program serves them. */
async function served(model: SmallModel, precision: 'auto' | 'fp32' | 'int8' = 'auto'): Promise<Float32Array> {
  const serving = await Serving.start(model, { ...defaultTextRunner, precision, threads: 1, maxTokens: 0 })
  const scored = await serving.score(texts).finally(() => serving.close())
  return Float32Array.from(scored.flatMap(({ logits }) => [...logits]))
}

/** Logits of an exported folder without this program's sessions: all texts in one batch, with inputs as exporters name them. */
async function loadedAlone(folder: string, maxTokens: number): Promise<Float32Array> {
  const tokenizer = await TokenizerPool.start({ folder, threads: 1, ...servedWindows(maxTokens, defaultTextRunner) })
  const rows = (await tokenizer.tokenize(texts).finally(() => tokenizer.close())).flatMap(({ windows }) => windows)
  assert.equal(rows.length, texts.length)
  const columns = Math.max(...rows.map(({ length }) => length))
  const dims = [rows.length, columns]
  const filled = (value: (row: Int32Array, at: number) => number): Tensor =>
    new Tensor(
      'int64',
      BigInt64Array.from(
        rows.flatMap((row) => Array.from({ length: columns }, (_, at) => BigInt(at < row.length ? value(row, at) : 0))),
      ),
      dims,
    )
  const session = await InferenceSession.create(join(folder, 'model.onnx'), { logSeverityLevel: 3 })
  const described = session.inputMetadata.map((input) => [input.name, input.isTensor ? input.type : ''])
  assert.deepEqual(described, [
    ['input_ids', 'int64'],
    ['attention_mask', 'int64'],
    ['token_type_ids', 'int64'],
  ])
  const { logits } = await session.run({
    input_ids: filled((row, at) => row[at] ?? 0),
    attention_mask: filled(() => 1),
    token_type_ids: filled(() => 0),
  })
  await session.release()
  assert.deepEqual(logits?.dims, [texts.length, 3])
  return logits.data as Float32Array
}

for (const precision of ['fp32', 'int8'] as const) {
  test(`an ONNX export in ${precision} answers elsewhere as it is served here, and when it is imported again`, async () => {
    const model = await smallModel()
    const out = join(await temporaryFolder(), 'new', 'exported')
    const exported = await exportModel(model, out, 'onnx', precision)
    assert.equal(exported.precision, precision)
    assert.deepEqual(
      exported.files.map(({ name }) => name),
      [
        'README.md',
        'config.json',
        'decision.json',
        'manifest.json',
        'model.onnx',
        'tokenizer.json',
        'tokenizer_config.json',
      ],
    )
    for (const { name, bytes, sha256: digest } of exported.files) {
      const content = await readFile(join(out, name))
      assert.deepEqual([content.length, sha256(content)], [bytes, digest])
    }
    const expected = await served(model, precision)
    assert.ok(largestDifference(await loadedAlone(out, model.maxTokens), expected) < 1e-4)
    assert.deepEqual((await verifyFolder(out)).unknownFiles, [])

    const imported = await importModel(out, { name: 'again', modelsFolder: await temporaryFolder(), goldenTexts: texts })
    const again = await openModel(imported.path, '/nowhere')
    assert.deepEqual(again.decision, model.decision)
    assert.deepEqual(
      [again.maxTokens, again.manifest.licence, again.manifest.strategy],
      [model.maxTokens, model.manifest.licence, 'random'],
    )
    assert.ok(largestDifference(await served(again), expected) < 1e-4)
    const other = precision === 'fp32' ? 'int8' : 'fp32'
    await throwsCode(() => served(again, other), 'MODEL_UNSUPPORTED', new RegExp(`a graph in ${precision}`))
    await throwsCode(() => openEncoder(imported.path, '/nowhere'), 'MODEL_UNSUPPORTED', /cannot be trained/)
    await throwsCode(
      () => TextRunner.start({ ...again, maxTokens: 8 }, 'embedding', { ...defaultTextRunner, precision: 'auto' }),
      'MODEL_UNSUPPORTED',
      /logits alone/,
    )
    // what cannot be built anew is handed on as it is
    const twice = join(await temporaryFolder(), 'twice')
    await exportModel(again, twice, 'onnx')
    assert.deepEqual(await readFile(join(twice, 'model.onnx')), await readFile(join(out, 'model.onnx')))
    await throwsCode(() => exportModel(again, join(twice, 'x'), 'onnx', other), 'SETTING_INVALID', /as it is/)
  })
}

test('the exported graph asks for no young operators and holds all of its weights', async () => {
  const out = join(await temporaryFolder(), 'exported')
  await exportModel(await smallModel(), out, 'onnx')
  const { opsetImport, graph } = onnxModelType().toObject(
    onnxModelType().decode(await readFile(join(out, 'model.onnx'))),
    { longs: Number },
  ) as {
    opsetImport: unknown
    graph: { initializer: { dataLocation?: number }[]; node: { opType: string }[] }
  }
  assert.deepEqual(opsetImport, [{ domain: '', version: 20 }])
  assert.ok(graph.initializer.every(({ dataLocation }) => dataLocation === undefined))
  assert.ok(!graph.node.some(({ opType }) => opType === 'Attention'))
})

test('the Hugging Face folder is the version byte for byte, and imported it is the same version', async () => {
  const model = await smallModel()
  const out = join(await temporaryFolder(), 'exported')
  const { files } = await exportModel(model, out, 'hugging-face')
  const names = (await readdir(model.folder)).sort()
  assert.deepEqual(
    files.map(({ name }) => name),
    names,
  )
  for (const name of names) {
    assert.deepEqual(await readFile(join(out, name)), await readFile(join(model.folder, name)), name)
  }
  assert.deepEqual(await openModel(out, '/nowhere'), { ...model, folder: out })
  const imported = await importModel(out, { name: 'again', modelsFolder: await temporaryFolder(), goldenTexts: texts })
  assert.equal(imported.digest, model.digest)
})

test('an export goes into a new or an empty folder, and leaves nothing where it fails', async () => {
  const model = await smallModel()
  const parent = await temporaryFolder()
  const out = join(parent, 'out')
  await mkdir(out)
  await exportModel(model, out, 'hugging-face')
  await throwsCode(() => exportModel(model, out, 'onnx'), 'FILE_UNREADABLE', /out is not empty: name a folder/)
  await throwsCode(
    () => exportModel(model, join(out, 'config.json'), 'onnx'),
    'FILE_UNREADABLE',
    /config\.json cannot be written/,
  )
  await writeFile(join(model.folder, 'tokenizer.json'), '{}')
  for (const format of ['onnx', 'hugging-face'] as const) {
    await throwsCode(() => exportModel(model, join(parent, 'other'), format), 'MODEL_CORRUPT', /tokenizer\.json/)
  }
  assert.deepEqual(await readdir(parent), ['out'])
})

test('the command verifies the version before it reads it, and says what it wrote', async () => {
  const model = await smallModel()
  const modelsFolder = dirname(dirname(model.folder))
  const parent = await temporaryFolder()
  const documents: unknown[] = []
  const warnings: string[] = []
  const context = {
    ...commandContext({ 'models.folder': modelsFolder }, warnings),
    printJson: (document: unknown) => documents.push(document),
  }
  const reference = `small@${model.version}`
  const out = join(parent, 'exported')
  await modelsExport.run(context, [reference], { out, precision: 'int8' })
  const [document] = documents as [Record<string, unknown>]
  const { name, version, digest } = model
  assert.deepEqual({ ...document, files: 0 }, { model: { name, version, digest }, format: 'onnx', precision: 'int8', path: out, files: 0 })
  assert.equal((document['files'] as unknown[]).length, 7)
  assert.match(warnings.join(), /were not compared with fp32/)
  const refused = (options: Record<string, string>, code: 'USAGE' | 'MODEL_CORRUPT', reason: RegExp) =>
    throwsCode(() => modelsExport.run(context, [reference], { out: join(parent, 'no'), ...options }), code, reason)
  await refused({ format: 'hugging-face', precision: 'int8' }, 'USAGE', /--precision is for --format onnx/)
  await refused({ format: 'pickle' }, 'USAGE', /--format/)
  await refused({ precision: 'fp16' }, 'USAGE', /--precision/)
  await writeFile(join(model.folder, 'config.json'), '{}')
  await refused({}, 'MODEL_CORRUPT', /config\.json has 2 bytes/)
  assert.deepEqual(await readdir(parent), ['exported'])
})

test('an exported folder that was changed is not imported', async () => {
  const out = join(await temporaryFolder(), 'exported')
  await exportModel(await smallModel(), out, 'onnx')
  const options = { name: 'again', modelsFolder: await temporaryFolder(), goldenTexts: texts }
  const changed = join(await temporaryFolder(), 'changed')
  await cp(out, changed, { recursive: true })
  await writeFile(join(changed, 'decision.json'), (await readFile(join(out, 'decision.json'), 'utf8')).replace('0.5', '0.6'))
  await throwsCode(() => importModel(changed, options), 'MODEL_CORRUPT', /decision\.json differs from manifest\.json/)
  assert.deepEqual(await readdir(options.modelsFolder), [])
  const imported = await importModel(out, { ...options, threshold: 0.25 })
  const { decision } = await openModel(imported.path, '/nowhere')
  assert.ok(decision.labels.every(({ threshold }) => threshold === 0.25))
})
