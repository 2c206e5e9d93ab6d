import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Random, seededRandom } from '../../src/core/random.ts'
import { modelParameters } from '../../src/encoders/model.ts'
import { ArraySession, type NumberArray } from '../../src/runtime/array-session.ts'
import {
  type EncoderGraphOptions,
  buildEncoderGraphs,
  gradientName,
  wordTable,
} from '../../src/train/encoder-graph.ts'
import { lossOf } from '../../src/train/encoder-hyperparameters.ts'
import { gradientCases, recordedBatch, recordedModel } from '../support/training-graph.ts'

const batch = recordedBatch()
const [rows, columns, labels] = [3, 9, 3]
const ids = Int32Array.from(batch.inputIds.flat())
const noDropout: EncoderGraphOptions['dropout'] = { hidden: 0, attention: 0, head: 0 }
const known = batch.known.flat().reduce((sum, cell) => sum + cell, 0)

const batchFeeds: Record<string, NumberArray> = {
  input_ids: { shape: [rows, columns], values: ids },
  attention_mask: { shape: [rows, columns], values: Int32Array.from(batch.attentionMask.flat()) },
  targets: { shape: [rows, labels], values: Float32Array.from(batch.targets.flat()) },
  mask: { shape: [rows, labels], values: Float32Array.from(batch.known.flat()) },
  positiveWeight: { shape: [labels], values: Float32Array.from(batch.positiveWeight) },
  scale: { shape: [], values: Float32Array.of(labels / known) },
}

type Recorded = ReturnType<typeof recordedModel>

async function gradientsOf(
  { config, parameters, kind }: Recorded,
  frozen: ReadonlySet<string> = new Set(),
): Promise<{ loss: number; gradients: Map<string, Float32Array> }> {
  const graphs = buildEncoderGraphs(config, { loss: lossOf(kind), dropout: noDropout, frozen })
  const session = await ArraySession.create(graphs.gradients, 1)
  const shapes = modelParameters(config, 'logits')
  const loss = new Float32Array(1)
  const gradients = new Map<string, Float32Array>()
  const into: Record<string, NumberArray> = { loss: { shape: [], values: loss } }
  for (const name of graphs.trained) {
    const shape = name === wordTable ? [rows * columns, config.hiddenSize] : (shapes.get(name) ?? [])
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1))
    into[gradientName(name)] = { shape, values }
    gradients.set(name, values)
  }
  await session.run({ ...batchFeeds, ...parameterFeeds(shapes, parameters) }, into)
  const table = gradients.get(wordTable)
  if (table !== undefined) gradients.set(wordTable, perRow(table, config.vocabularySize, config.hiddenSize))
  return { loss: loss[0] ?? NaN, gradients }
}

const parameterFeeds = (
  shapes: ReadonlyMap<string, readonly number[]>,
  parameters: ReadonlyMap<string, Float32Array>,
): Record<string, NumberArray> =>
  Object.fromEntries(
    [...shapes].map(([name, shape]) => [
      name,
      { shape, values: parameters.get(name) ?? new Float32Array(0) },
    ]),
  )

/** Gradients a token, added up to gradients of the table. */
function perRow(tokens: Float32Array, tableRows: number, width: number): Float32Array {
  const table = new Float32Array(tableRows * width)
  ids.forEach((id, token) => {
    for (let i = 0; i < width; i++) {
      table[id * width + i] = (table[id * width + i] ?? 0) + (tokens[token * width + i] ?? 0)
    }
  })
  return table
}

const norm = (values: Float32Array): number => Math.hypot(...values)

describe('loss and gradients of a whole encoder are those of PyTorch', () => {
  for (const name of gradientCases) {
    const recorded = recordedModel(name)
    test(`${name}, ${recorded.kind}`, async () => {
      const { loss, gradients } = await gradientsOf(recorded)
      assert.ok(Math.abs(loss - recorded.loss) < 1e-5 * recorded.loss, `${loss} is not ${recorded.loss}`)
      assert.deepEqual([...gradients.keys()].sort(), [...recorded.gradients.keys()].sort())
      const largest = Math.max(...[...recorded.gradients.values()].map(norm))
      for (const [parameter, expected] of recorded.gradients) {
        const actual = gradients.get(parameter) ?? new Float32Array(0)
        const difference = norm(expected.map((value, i) => value - (actual[i] ?? NaN)))
        // The gradient by key biases is 0: there, only rounding is left.
        const scale = Math.max(norm(expected), 1e-2 * largest)
        assert.ok(difference < 1e-5 * scale, `${parameter}: off by ${difference / scale}`)
      }
    })
  }
})

test('the loss of a whole encoder changes along a random direction as its gradient says', async () => {
  const random: Random = seededRandom(5)
  for (const name of gradientCases) {
    const recorded = recordedModel(name)
    const { gradients } = await gradientsOf(recorded)
    const directions = new Map(
      [...recorded.parameters].map(([parameter, values]) => [parameter, values.map(() => random.normal())]),
    )
    const expected = [...directions].reduce((sum, [parameter, direction]) => {
      const gradient = gradients.get(parameter)
      return sum + direction.reduce((dot, value, i) => dot + value * (gradient?.[i] ?? NaN), 0)
    }, 0)
    const at = async (distance: number): Promise<number> => {
      const parameters = new Map(
        [...recorded.parameters].map(([parameter, values]) => [
          parameter,
          values.map((value, i) => value + distance * (directions.get(parameter)?.[i] ?? NaN)),
        ]),
      )
      return (await gradientsOf({ ...recorded, parameters })).loss
    }
    const distance = 2e-3
    const slope = ((await at(distance)) - (await at(-distance))) / (2 * distance)
    assert.ok(
      Math.abs(slope - expected) < 5e-3 * Math.max(1, Math.abs(expected)),
      `${name}: ${slope} instead of ${expected}`,
    )
  }
})

test('frozen parameters have no gradient, and the others keep theirs', async () => {
  const recorded = recordedModel('mean-linear')
  const all = await gradientsOf(recorded)
  const frozen = new Set(
    [...recorded.parameters.keys()].filter(
      (name) => name.startsWith('bert.embeddings.') || name.startsWith('bert.encoder.layer.0.'),
    ),
  )
  const some = await gradientsOf(recorded, frozen)
  assert.equal(some.loss, all.loss)
  for (const name of recorded.parameters.keys()) {
    if (frozen.has(name)) assert.ok(!some.gradients.has(name))
    else assert.deepEqual(some.gradients.get(name), all.gradients.get(name), name)
  }
})

test('a batch without any known target has a loss and gradients of 0', async () => {
  const recorded = recordedModel('mean-linear')
  const held = batchFeeds['mask']
  batchFeeds['mask'] = { shape: [rows, labels], values: new Float32Array(rows * labels) }
  const { loss, gradients } = await gradientsOf(recorded)
  if (held !== undefined) batchFeeds['mask'] = held
  assert.equal(loss, 0)
  for (const values of gradients.values()) assert.ok(values.every((value) => value === 0))
})
