import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  activationRangesJson,
  parseActivationRanges,
  quantization,
} from '../../src/encoders/activation-ranges.ts'
import { readModelConfig } from '../../src/encoders/config.ts'
import { linearLayers } from '../../src/encoders/weights.ts'
import { throwsCode } from '../support/throws-code.ts'

const config = readModelConfig({
  model_type: 'bert',
  vocab_size: 10,
  hidden_size: 4,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 8,
})
const layers = linearLayers(config)

test('a range is the mean of what the texts had, with 0 in it', () => {
  const extremes = [2, 4].map((most) => Float32Array.from(layers.flatMap((_name, at) => [most + at, -1])))
  const ranges = parseActivationRanges(activationRangesJson(config, extremes), config, 'file')
  assert.deepEqual([...ranges.keys()], layers)
  assert.deepEqual(
    [...ranges.values()],
    layers.map((_name, at) => [0, 3 + at]),
  )
})

test('0 is one of the 256 values, and the ends of the range are reached', () => {
  for (const range of [
    [-1, 3],
    [0, 5],
    [-2, 0],
    [-0.17, 24.7],
  ] as const) {
    const { scale, zeroPoint } = quantization(range)
    assert.ok(Number.isInteger(zeroPoint) && zeroPoint >= 0 && zeroPoint <= 255)
    assert.ok(Math.abs((0 - zeroPoint) * scale - range[0]) <= scale / 2 + 1e-6)
    assert.ok(Math.abs((255 - zeroPoint) * scale - range[1]) <= scale / 2 + 1e-6)
  }
  assert.deepEqual(quantization([0, 0]), { scale: 1, zeroPoint: 0 })
})

test('a file with a layer too few, a range without 0 or numbers that are none is a damaged model', async () => {
  const ranges = Object.fromEntries(layers.map((name) => [name, [-1, 1]]))
  const [first = ''] = layers
  const text = (changed: object): string =>
    JSON.stringify({ format: 1, texts: 2, ranges: { ...ranges, ...changed } })
  assert.equal(parseActivationRanges(text({}), config, 'file').size, layers.length)
  for (const damaged of [
    text({ [first]: undefined }),
    text({ [first]: [1, 2] }),
    text({ [first]: [-1] }),
    text({ [first]: [null, 1] }),
    '{}',
    'no JSON',
  ]) {
    await throwsCode(() => parseActivationRanges(damaged, config, 'file'), 'MODEL_CORRUPT')
  }
})
