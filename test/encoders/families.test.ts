import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/core/paths.ts'
import { readModelConfig } from '../../src/encoders/config.ts'
import { type GraphForm, buildModelGraph, modelParameters } from '../../src/encoders/model.ts'
import { storedName } from '../../src/encoders/weights.ts'
import {
  type TokenBatch,
  assertClose,
  compute,
  openEncoderFolder,
  readJson,
} from '../support/encoder-fixture.ts'
import { throwsCode } from '../support/throws-code.ts'

interface Case extends TokenBatch {
  /** 0 where there is no token. */
  readonly hidden: number[]
  readonly mean: number[]
  readonly logits: number[]
}

const folder = join(packageRoot, 'test', 'fixtures', 'families')

for (const family of ['roberta', 'distilbert'] as const) {
  const { config, weights } = openEncoderFolder(join(folder, family))
  const { cases } = readJson(join(folder, `${family}.json`)) as { readonly cases: readonly Case[] }

  test(`${family}: what transformers saved gives its hidden states, means and logits`, async () => {
    assert.deepEqual(
      [config.family, config.labels, config.pooling],
      [family, ['first', 'second', 'third'], 'cls'],
    )
    for (const form of ['served', 'stepwise', 'joined'] satisfies GraphForm[]) {
      const build = (output: 'hidden' | 'embedding' | 'logits', pooling = config.pooling): Uint8Array =>
        buildModelGraph({ ...config, pooling }, weights, output, 'fp32', undefined, form)
      const [hidden, mean, logits] = [build('hidden'), build('embedding', 'mean'), build('logits')]
      for (const batch of cases) {
        const mask = batch.attentionMask.flat()
        const { values } = await compute(hidden, 'hidden', batch)
        const real = values.map(
          (value, place) => value * (mask[Math.floor(place / config.hiddenSize)] ?? NaN),
        )
        assertClose(real, batch.hidden, `${form}: hidden`)
        assertClose((await compute(mean, 'embedding', batch)).values, batch.mean, `${form}: mean`)
        assertClose((await compute(logits, 'logits', batch)).values, batch.logits, `${form}: logits`)
      }
    }
  })

  test(`${family}: every parameter is in the file under its name, and in files without the prefix`, async () => {
    const names = [...modelParameters(config, 'logits').keys()].map((name) => storedName(name, config))
    assert.deepEqual(new Set(names), new Set(weights.keys()))
    const bare = new Map([...weights].map(([name, tensor]) => [name.replace(`${family}.`, ''), tensor]))
    const bytes = (from: typeof weights) => Buffer.from(buildModelGraph(config, from, 'logits'))
    assert.ok(bytes(bare).equals(bytes(weights)))
    weights.delete(names[4] ?? '')
    await throwsCode(
      () => bytes(weights),
      'MODEL_CORRUPT',
      new RegExp(`no tensor ${names[4]?.replaceAll('.', '\\.')}`),
    )
  })
}

test("a label's own encoder is stored under the family's names, too", () => {
  const stored = (name: string) => storedName(name, { family: 'distilbert', hasNativeHead: false })
  assert.equal(
    stored('label.3.bert.encoder.layer.1.attention.output.dense.weight'),
    'label.3.distilbert.transformer.layer.1.attention.out_lin.weight',
  )
  assert.equal(stored('label.3.head.0.bias'), 'label.3.head.0.bias')
})

test('impossible values are named as the file names them', async () => {
  const config = readJson(join(folder, 'distilbert', 'config.json')) as object
  const read = (changes: object) => () => readModelConfig({ ...config, ...changes })
  await throwsCode(read({ n_heads: 0 }), 'MODEL_CORRUPT', /n_heads: /)
  await throwsCode(
    read({ labelstream: { pooling: 'pooler' } }),
    'MODEL_UNSUPPORTED',
    /distilbert has no pooler/,
  )
  const roberta = readJson(join(folder, 'roberta', 'config.json')) as object
  await throwsCode(
    () => readModelConfig({ ...roberta, max_position_embeddings: 2 }),
    'MODEL_CORRUPT',
    /max_position_embeddings 2 leaves no position/,
  )
  await throwsCode(
    read({ model_type: 'gpt2' }),
    'MODEL_UNSUPPORTED',
    /supported are bert, roberta, xlm-roberta/,
  )
})
