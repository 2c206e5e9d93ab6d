import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { sha256 } from '../../src/core/digest.ts'
import { plainDecision } from '../../src/models/decision.ts'
import { openModel } from '../../src/models/folder.ts'
import type { ClassifierManifest } from '../../src/models/manifest.ts'
import { Inference } from '../../src/runtime/inference.ts'
import { EncoderSession } from '../../src/runtime/session.ts'
import { loadTokenizer } from '../../src/text/tokenizer.ts'
import { cutWindows } from '../../src/text/windows.ts'
import { refusalOf, survives } from '../support/fuzz.ts'
import { savedModel } from '../support/saved-model.ts'

const root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'labelstream-fuzz-'))
const folder = join(root, 'model')
after(() => {
  rmSync(root, { recursive: true })
})

const labels = ['first', 'second', 'third']
let files: Record<string, Buffer>

before(async () => {
  mkdirSync(folder)
  const saved = await savedModel({
    problem_type: 'multi_label_classification',
    id2label: Object.fromEntries(labels.entries()),
  })
  const read = (name: string): Buffer => readFileSync(join(saved, name))
  files = {
    'config.json': read('config.json'),
    'tokenizer.json': read('tokenizer.json'),
    'model.safetensors': read('model.safetensors'),
    'decision.json': Buffer.from(JSON.stringify(plainDecision(labels))),
  }
})

/** Writes the model with this file in place of its own, and a manifest whose digests are right. */
function writeModel(name: string, bytes: Buffer): void {
  const content = { ...files, [name]: bytes }
  const manifest: ClassifierManifest = {
    format: 1,
    kind: 'classifier',
    name: 'fuzzed',
    version: '1',
    created: '2026-11-23T10:00:00Z',
    licence: 'Apache-2.0',
    maxTokens: 16,
    strategy: 'imported',
    hyperparameters: {},
    metrics: {},
    golden: [],
    files: Object.fromEntries(
      Object.entries(content).map(([file, data]) => [file, { sha256: sha256(data), sizeBytes: data.length }]),
    ),
  }
  for (const [file, data] of Object.entries(content)) writeFileSync(join(folder, file), data)
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest))
}

/** The way of `run` from a folder to a score, without the processes: a crash of native code ends this one. */
async function loadAndScore(name: string, bytes: Buffer): Promise<void> {
  writeModel(name, bytes)
  const model = await openModel(folder, root)
  const tokenizer = await loadTokenizer(model.folder)
  const session = await EncoderSession.open({
    folder: model.folder,
    output: 'logits',
    providers: ['cpu'],
    precision: 'fp32',
    autoOnCpu: 'fp32',
    graph: 'plain',
    threads: 1,
    expectedDigests: model.fileDigests,
  })
  const ids = tokenizer.encode('hello world, bread and code')
  const limits = { maxTokens: model.maxTokens, maxWindows: 2, strideTokens: 1 }
  const [window = new Int32Array(1)] = cutWindows(ids, limits, tokenizer.special).windows
  if (window.length > 0) await session.run({ ids: window, lengths: Int32Array.of(window.length) })
}

for (const [name, share] of [
  ['config.json', 0.05],
  ['model.safetensors', 0.05],
  ['tokenizer.json', 0.05],
  ['decision.json', 0.05],
] as const) {
  test(`a damaged ${name} with the digest that fits it: from the folder to a score`, async (t) => {
    const seed = files[name]
    assert.ok(seed !== undefined)
    await survives(t, { seeds: [seed], share, read: (bytes) => loadAndScore(name, bytes) })
  })
}

test('absurd sizes are refused by the inference process before they are allocated', async () => {
  const config = JSON.parse(files['config.json']?.toString('utf8') ?? '') as Record<string, unknown>
  const absurd: Record<string, unknown>[] = [
    { vocab_size: 10_000_000 },
    { hidden_size: 65_536 },
    { num_hidden_layers: 1_000 },
    { num_attention_heads: 1_000 },
    { intermediate_size: 1_000_000 },
    { max_position_embeddings: 1_000_000 },
    { type_vocab_size: 1_000 },
    { vocab_size: 2 ** 52, hidden_size: 2 ** 52 },
    { num_hidden_layers: 1e300 },
    { labelstream: { pooling: 'mean', headHiddenSizes: Array.from({ length: 16 }, () => 65_536) } },
  ]
  for (const change of absurd) {
    writeModel('config.json', Buffer.from(JSON.stringify({ ...config, ...change })))
    const { fileDigests } = await openModel(folder, root)
    const start = Inference.start({
      folder,
      output: 'logits',
      provider: 'cpu',
      precision: 'fp32',
      threads: 1,
      deadlineMs: 60_000,
      expectedDigests: fileDigests,
    })
    const error: unknown = await start.then(
      async (inference) => {
        await inference.close()
        return undefined
      },
      (thrown: unknown) => thrown,
    )
    assert.ok(error !== undefined, `${JSON.stringify(change)} was accepted`)
    assert.equal(refusalOf(error, 'an absurd size', Buffer.from(JSON.stringify(change))), 'MODEL_CORRUPT')
  }
})

test('more labels than any event can carry are refused', async () => {
  const many = Array.from({ length: 10_001 }, (_, index) => `label ${index}`)
  writeModel('decision.json', Buffer.from(JSON.stringify(plainDecision(many))))
  await assert.rejects(openModel(folder, root), { code: 'MODEL_CORRUPT' })
})

test('a model file far beyond its limit is refused without being read', async () => {
  writeModel('decision.json', Buffer.from('{}'))
  rmSync(join(folder, 'manifest.json'))
  writeFileSync(join(folder, 'manifest.json'), Buffer.alloc(17 * 1_048_576, ' '))
  await assert.rejects(openModel(folder, root), { code: 'FILE_UNREADABLE', message: /manifest\.json.*limit/ })
})
