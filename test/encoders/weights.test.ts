import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { readModelConfig } from '../../src/encoders/config.ts'
import { buildModelGraph, modelParameters } from '../../src/encoders/model.ts'
import {
  encoderParameters,
  headParameters,
  poolerParameters,
  resolveWeights,
} from '../../src/encoders/weights.ts'
import { float32Tensor } from '../../src/formats/safetensors.ts'
import type { Tensor } from '../../src/formats/safetensors.ts'

const json = {
  model_type: 'bert',
  architectures: ['BertForSequenceClassification'],
  vocab_size: 10,
  hidden_size: 4,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 8,
  max_position_embeddings: 6,
}
const config = readModelConfig({ ...json, labelstream: { pooling: 'mean', headHiddenSizes: [3] } })

const zeros = (shapes: Iterable<[string, readonly number[]]>): Map<string, Tensor> =>
  new Map(
    [...shapes].map(([name, shape]) => [
      name,
      float32Tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape),
    ]),
  )
const all = (): Map<string, Tensor> =>
  zeros([...encoderParameters(config), ...poolerParameters(config), ...headParameters(config)])

const refused = (weights: Map<string, Tensor>, pattern: RegExp): void => {
  assert.throws(
    () => buildModelGraph(config, weights, 'logits'),
    (error) => {
      assert.ok(error instanceof LabelstreamError)
      assert.equal(error.code, 'MODEL_CORRUPT')
      assert.match(error.message, pattern)
      return true
    },
  )
}

test('model files hold the embeddings first, then the layers, the pooler, and the head last', () => {
  const names = [...all().keys()]
  assert.equal(names[0], 'bert.embeddings.word_embeddings.weight')
  assert.deepEqual(names.slice(-6), [
    'bert.pooler.dense.weight',
    'bert.pooler.dense.bias',
    'head.0.weight',
    'head.0.bias',
    'classifier.weight',
    'classifier.bias',
  ])
  assert.deepEqual(headParameters(config).get('head.0.weight'), [3, 4])
  assert.deepEqual(headParameters(config).get('classifier.weight'), [2, 3])
})

test('an output asks only for the parameters it takes', () => {
  const pooler = { ...config, pooling: 'pooler' } as const
  assert.ok(!modelParameters(pooler, 'hidden').has('bert.pooler.dense.weight'))
  assert.ok(modelParameters(pooler, 'embedding').has('bert.pooler.dense.weight'))
  assert.ok(!modelParameters(config, 'logits').has('bert.pooler.dense.weight'))
  assert.ok(!modelParameters(config, 'embedding').has('classifier.weight'))
})

test('names without the prefix and the old names of layer norms are found', () => {
  const renamed = new Map(
    [...all()].map(([name, tensor]) => [
      name
        .replace(/^bert\./, '')
        .replace('LayerNorm.weight', 'LayerNorm.gamma')
        .replace('LayerNorm.bias', 'LayerNorm.beta'),
      tensor,
    ]),
  )
  assert.ok(renamed.has('embeddings.LayerNorm.gamma'))
  const resolved = resolveWeights(modelParameters(config, 'logits'), renamed, config)
  assert.deepEqual([...resolved.keys()], [...modelParameters(config, 'logits').keys()])
})

test('a missing tensor is named with the shape it should have', () => {
  const weights = all()
  weights.delete('bert.encoder.layer.0.attention.self.key.bias')
  refused(weights, /no tensor bert\.encoder\.layer\.0\.attention\.self\.key\.bias, \[4\]/)
})

test('a tensor of another shape is named with both shapes', () => {
  const weights = all()
  weights.set('classifier.weight', float32Tensor(new Float32Array(6), [3, 2]))
  refused(weights, /classifier\.weight is \[3, 2\], config\.json asks for \[2, 3\]/)
})

test('logits of an encoder without a head are refused', () => {
  const encoder = readModelConfig({ ...json, architectures: ['BertModel'] })
  assert.throws(() => buildModelGraph(encoder, all(), 'logits'), /without a classifier/)
})
