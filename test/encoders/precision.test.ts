import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/core/paths.ts'
import type { Activation } from '../../src/encoders/activation.ts'
import { readModelConfig } from '../../src/encoders/config.ts'
import type { Precision } from '../../src/encoders/constants.ts'
import {
  type ActivationRanges,
  activationRangesJson,
  parseActivationRanges,
} from '../../src/encoders/activation-ranges.ts'
import { type GraphForm, buildModelGraph, modelGraph } from '../../src/encoders/model.ts'
import { quantizeRows } from '../../src/encoders/quantize.ts'
import { readSafetensors } from '../../src/formats/safetensors.ts'
import { int32Matrix, largestDifference, runOnce } from '../support/onnx-session.ts'

const folder = join(packageRoot, 'models', 'minilm-l6', '1')
const config = readModelConfig(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')))
const weights = readSafetensors(readFileSync(join(folder, 'model.safetensors')))

/** "my advice is to learn to cook" and "hello", with [CLS] and [SEP]. */
const inputIds = [
  [101, 2026, 6040, 2003, 2000, 4553, 2000, 5660, 102],
  [101, 7592, 102, 0, 0, 0, 0, 0, 0],
]
const feedsOf = (rows: readonly (readonly number[])[]) => ({
  input_ids: int32Matrix(rows),
  attention_mask: int32Matrix(rows.map((row) => row.map((id) => Math.sign(id)))),
})

async function embed(
  precision: Precision,
  rows = inputIds,
  ranges?: ActivationRanges,
  activation: Activation = config.activation,
): Promise<number[][]> {
  const graph = buildModelGraph({ ...config, activation }, weights, 'embedding', precision, ranges)
  const { embedding } = await runOnce(graph, feedsOf(rows))
  assert.ok(embedding !== undefined)
  const width = config.hiddenSize
  return rows.map((_, row) => embedding.values.slice(row * width, (row + 1) * width))
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]): number =>
    x.reduce((sum, value, index) => sum + value * (y[index] ?? NaN), 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

test('int8 points where fp32 does, within a cosine of 0.96', async () => {
  const [exact, quantized] = [await embed('fp32'), await embed('int8')]
  exact.forEach((vector, row) => {
    assert.ok(cosine(vector, quantized[row] ?? []) > 0.96)
  })
})

test('int8 does so with every activation, of which it computes those like GELU as a scaled SiLU', async () => {
  for (const activation of ['gelu_tanh', 'quick_gelu', 'silu', 'relu'] as const) {
    const exact = await embed('fp32', inputIds, undefined, activation)
    const quantized = await embed('int8', inputIds, undefined, activation)
    exact.forEach((vector, row) => {
      assert.ok(cosine(vector, quantized[row] ?? []) > 0.96, activation)
    })
  }
  const operators = (activation: Activation): Set<string> => {
    const graph = modelGraph({ ...config, activation }, weights, 'embedding', 'int8')
    return new Set(graph.nodes.map(({ op }) => op))
  }
  assert.ok(!operators('gelu').has('Gelu') && operators('gelu').has('Sigmoid'))
  assert.ok(!operators('relu').has('Sigmoid'))
})

test('int8 vectors depend on what else is in the batch, within a cosine of 0.96; fp32 ones do not', async () => {
  for (const [precision, nearest] of [
    ['fp32', 0.999_999],
    ['int8', 0.96],
  ] as const) {
    const together = await embed(precision)
    const alone = await embed(precision, [inputIds[1]?.slice(0, 3) ?? []])
    assert.ok(cosine(alone[0] ?? [], together[1] ?? []) > nearest)
  }
})

/** As `retrain` makes them, of the two texts. */
async function measuredRanges(): Promise<ActivationRanges> {
  const graph = buildModelGraph(config, weights, 'activationExtremes')
  const { activationExtremes: extremes } = await runOnce(graph, feedsOf(inputIds))
  assert.ok(extremes !== undefined)
  const width = extremes.values.length / 2
  const rows = [0, 1].map((row) => Float32Array.from(extremes.values.slice(row * width, (row + 1) * width)))
  return parseActivationRanges(activationRangesJson(config, rows), config, 'activation-ranges.json')
}

test('with fixed ranges int8 points where fp32 does, and a vector does not depend on what else is in the batch', async () => {
  const ranges = await measuredRanges()
  const [exact, together] = [await embed('fp32'), await embed('int8', inputIds, ranges)]
  const alone = await embed('int8', [inputIds[1]?.slice(0, 3) ?? []], ranges)
  exact.forEach((vector, row) => {
    assert.ok(cosine(vector, together[row] ?? []) > 0.96)
  })
  assert.ok(cosine(alone[0] ?? [], together[1] ?? []) > 0.9999)
  const { nodes } = modelGraph(config, weights, 'embedding', 'int8', ranges)
  const count = (op: string): number => nodes.filter((node) => node.op === op).length
  assert.equal(count('QuantizeLinear'), 4 * config.layers)
  assert.equal(count('DynamicQuantizeLinear'), 0)
})

test('extremes of a text are those of its own tokens, whatever it is padded to', async () => {
  const graph = buildModelGraph(config, weights, 'activationExtremes')
  const { activationExtremes: together } = await runOnce(graph, feedsOf(inputIds))
  const { activationExtremes: alone } = await runOnce(graph, feedsOf([inputIds[1]?.slice(0, 3) ?? []]))
  const width = 2 * 6 * config.layers
  assert.equal(alone?.values.length, width)
  assert.ok(largestDifference(alone.values, together?.values.slice(width) ?? []) < 1e-3)
})

test('a linear layer that reads what another one reads shares its quantisation', () => {
  const { nodes } = modelGraph(config, weights, 'embedding', 'int8')
  const count = (op: string): number => nodes.filter((node) => node.op === op).length
  assert.equal(count('MatMulIntegerToFloat'), 6 * config.layers)
  assert.equal(count('DynamicQuantizeLinear'), 4 * config.layers)
})

test('fp16 gives the values of fp32 within 0.01', async () => {
  const [exact, half] = [await embed('fp32'), await embed('fp16')]
  assert.ok(largestDifference(half.flat(), exact.flat()) < 0.01)
})

test('fp16 keeps the weights as they are stored; int8 has a byte for each of the linear layers', () => {
  const size = (precision: Precision, name: string): number | undefined =>
    modelGraph(config, weights, 'embedding', precision).initializers.find((each) => each.name === name)?.data
      .length
  const dense = 'bert.encoder.layer.0.intermediate.dense.weight'
  assert.equal(size('fp32', dense), 384 * 1536 * 4)
  assert.equal(size('fp16', dense), 384 * 1536 * 2)
  assert.equal(size('int8', dense), undefined)
  assert.equal(size('int8', `${dense}_int8`), 384 * 1536)
})

/** Of the whole graph in a form, on the CPU. */
async function embedIn(form: GraphForm, precision: Precision = 'fp32'): Promise<number[]> {
  const graph = buildModelGraph(config, weights, 'embedding', precision, undefined, form)
  const { embedding } = await runOnce(graph, feedsOf(inputIds))
  return embedding?.values ?? []
}

test('every form that the CPU has gives the same vectors, of rows with padding too', async () => {
  const exact = (await embed('fp32')).flat()
  for (const form of ['stepwise', 'joined'] as const) {
    assert.ok(largestDifference(await embedIn(form), exact) < 1e-5, form)
  }
})

test('the joined form in halves gives the values of fp32 within 0.01', async () => {
  assert.ok(largestDifference(await embedIn('joined', 'fp16'), (await embed('fp32')).flat()) < 0.01)
})

test('ONNX Runtime takes the graph without padding, but for the kernels that CUDA alone has', async () => {
  for (const precision of ['fp32', 'fp16'] as const) {
    await assert.rejects(
      embedIn('packed', precision),
      /(implementation for |kernel for com\.microsoft\.)RemovePadding\(1\)/,
    )
  }
})

test('quantised rows come transposed, are off by half a step at most, and stay within 7 bits', () => {
  const weight = Float32Array.from([0.5, -1, 0.25, 0, 0, 0, 300, 2, -3])
  const { values, scales } = quantizeRows(weight, 3, 3)
  assert.deepEqual([...scales], [1 / 64, 1, Math.fround(300 / 64)])
  weight.forEach((value, index) => {
    const [row, column] = [Math.floor(index / 3), index % 3]
    const [quantized = NaN, scale = NaN] = [values[column * 3 + row], scales[row]]
    assert.ok(Math.abs(quantized) <= 64)
    assert.ok(Math.abs(quantized * scale - value) <= scale / 2 + 1e-6)
  })
})
