import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { packageRoot } from '../../src/core/paths.ts'
import type { Pooling } from '../../src/encoders/config.ts'
import { buildModelGraph } from '../../src/encoders/model.ts'
import {
  type TokenBatch,
  assertClose,
  compute,
  openEncoderFolder,
  readJson,
} from '../support/encoder-fixture.ts'

const fixtures = join(packageRoot, 'test', 'fixtures', 'bert')

interface TinyCase extends TokenBatch {
  readonly hidden: number[]
  readonly pooled: Record<Pooling, number[]>
  readonly logits: Record<Pooling, number[]>
}
interface RealCase extends TokenBatch {
  readonly firstToken: number[][]
  readonly lastToken: number[][]
  readonly mean: number[][]
  readonly pooler: number[][]
}

const casesOf = (name: string): unknown =>
  (readJson(join(fixtures, `${name}.json`)) as { cases: unknown }).cases

describe('tiny BERT models give the values of PyTorch', () => {
  for (const name of ['tiny-gelu', 'tiny-relu', 'tiny-gelu-new']) {
    const { config, weights } = openEncoderFolder(join(fixtures, name))
    const cases = casesOf(name) as TinyCase[]

    test(`${name}: hidden states, padded and unpadded`, async () => {
      const model = buildModelGraph(config, weights, 'hidden')
      for (const batch of cases) {
        const { dims, values } = await compute(model, 'hidden', batch)
        assert.deepEqual(dims, [batch.inputIds.length, batch.inputIds[0]?.length, config.hiddenSize])
        assertClose(values, batch.hidden, 'hidden')
      }
    })

    for (const pooling of ['mean', 'cls', 'pooler'] as const) {
      test(`${name}: pooled vectors and logits with pooling ${pooling}`, async () => {
        const pooled = { ...config, pooling }
        const embedding = buildModelGraph(pooled, weights, 'embedding')
        const logits = buildModelGraph(pooled, weights, 'logits')
        for (const batch of cases) {
          const vectors = await compute(embedding, 'embedding', batch)
          assert.deepEqual(vectors.dims, [batch.inputIds.length, config.hiddenSize])
          assertClose(vectors.values, batch.pooled[pooling], 'embedding')
          const scores = await compute(logits, 'logits', batch)
          assert.deepEqual(scores.dims, [batch.inputIds.length, config.labels.length])
          assertClose(scores.values, batch.logits[pooling], 'logits')
        }
      })
    }
  }

  test('dense layers before the classifier', async () => {
    const { config, weights } = openEncoderFolder(join(fixtures, 'tiny-dense'))
    assert.deepEqual(config.headHiddenSizes, [24, 16])
    const model = buildModelGraph(config, weights, 'logits')
    for (const batch of casesOf('tiny-dense') as (TokenBatch & { logits: number[] })[]) {
      const { values } = await compute(model, 'logits', batch)
      assertClose(values, batch.logits, 'logits')
    }
  })
})

describe('the shipped encoder gives the values of PyTorch', () => {
  const { config, weights } = openEncoderFolder(join(packageRoot, 'models', 'minilm-l6', '1'))
  const cases = casesOf('minilm-l6') as RealCase[]

  test('hidden states of the first and the last token', async () => {
    const model = buildModelGraph(config, weights, 'hidden')
    for (const batch of cases) {
      const { dims, values } = await compute(model, 'hidden', batch)
      const [, sequence = 0, hidden = 0] = dims
      const token = (row: number, place: number): number[] =>
        values.slice((row * sequence + place) * hidden).slice(0, 8)
      batch.attentionMask.forEach((mask, row) => {
        assertClose(token(row, 0), batch.firstToken[row] ?? [], `first token of row ${row}`)
        const last = mask.lastIndexOf(1)
        assertClose(token(row, last), batch.lastToken[row] ?? [], `last token of row ${row}`)
      })
    }
  })

  test('the mean over the tokens', async () => {
    const model = buildModelGraph(config, weights, 'embedding')
    for (const batch of cases) {
      const { values } = await compute(model, 'embedding', batch)
      assertClose(values, batch.mean.flat(), 'mean')
    }
  })

  test('the pooler', async () => {
    const model = buildModelGraph({ ...config, pooling: 'pooler' }, weights, 'embedding')
    for (const batch of cases) {
      const { values } = await compute(model, 'embedding', batch)
      const slices = batch.pooler.map((_, row) => values.slice(row * config.hiddenSize).slice(0, 8))
      assertClose(slices.flat(), batch.pooler.flat(), 'pooler')
    }
  })
})

test('a text gives the same vector alone and padded beside a longer one', async () => {
  const { config, weights } = openEncoderFolder(join(fixtures, 'tiny-gelu'))
  const model = buildModelGraph(config, weights, 'embedding')
  const ids = [5, 9, 33, 2]
  const alone = await compute(model, 'embedding', { inputIds: [ids], attentionMask: [[1, 1, 1, 1]] })
  const beside = await compute(model, 'embedding', {
    inputIds: [
      [...ids, 0, 0, 0],
      [7, 8, 9, 10, 11, 12, 13],
    ],
    attentionMask: [
      [1, 1, 1, 1, 0, 0, 0],
      [1, 1, 1, 1, 1, 1, 1],
    ],
  })
  assertClose(beside.values.slice(0, config.hiddenSize), alone.values, 'embedding')
})

test('a row without any token gives numbers, not NaN', async () => {
  const { config, weights } = openEncoderFolder(join(fixtures, 'tiny-gelu'))
  for (const pooling of ['mean', 'cls', 'pooler'] as const) {
    const model = buildModelGraph({ ...config, pooling }, weights, 'logits')
    const { values } = await compute(model, 'logits', { inputIds: [[0, 0]], attentionMask: [[0, 0]] })
    assert.ok(values.every(Number.isFinite))
  }
})
