import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { packageRoot } from '../../src/core/paths.ts'
import type { FloatArrays } from '../../src/runtime/training-messages.ts'
import { Training } from '../../src/runtime/training.ts'
import { biasCorrections } from '../../src/train/adamw.ts'
import { buildHeadGraphs } from '../../src/train/head-graph.ts'
import { headConfig } from '../support/head-config.ts'

interface Recorded {
  embedding: number[]
  targets: number[]
  mask: number[]
  positiveWeight: number[]
  start: Record<string, number[]>
  losses: number[]
  end: Record<string, number[]>
}

const recorded = JSON.parse(
  readFileSync(join(packageRoot, 'test/fixtures/train/adamw.json'), 'utf8'),
) as Recorded
const graphs = buildHeadGraphs(headConfig(4, ['a', 'b'], [3]), { weightDecay: 0.1, dropout: 0 })
const floats = (shape: readonly number[], values: readonly number[]) => ({
  shape,
  values: Float32Array.from(values),
})
const start = (): FloatArrays =>
  Object.fromEntries(
    [...graphs.stateShapes].map(([name, shape]) => {
      const size = shape.reduce((product, length) => product * length, 1)
      return [name, floats(shape, recorded.start[name] ?? new Array<number>(size).fill(0))]
    }),
  )
const batch = (step: number): FloatArrays => {
  const [first, second] = biasCorrections(step)
  return {
    embedding: floats([5, 4], recorded.embedding),
    targets: floats([5, 2], recorded.targets),
    mask: floats([5, 2], recorded.mask),
    positiveWeight: floats([2], recorded.positiveWeight),
    learningRate: floats([], [0.05]),
    firstCorrection: floats([], [first]),
    secondCorrection: floats([], [second]),
  }
}

test('three steps of a dense head give the losses and parameters of PyTorch', async () => {
  const training = await Training.start({ ...graphs, state: start(), threads: 1 })
  try {
    const losses = await training.steps([1, 2, 3].map(batch))
    losses.forEach((loss, step) => assert.ok(Math.abs(loss - (recorded.losses[step] ?? NaN)) < 1e-6))
    const { arrays, peakMemoryBytes } = await training.state(Object.keys(recorded.end))
    for (const [name, values] of Object.entries(recorded.end)) {
      values.forEach((value, cell) => {
        const actual = arrays[name]?.values[cell] ?? NaN
        assert.ok(Math.abs(actual - value) < 1e-5, `${name}[${cell}] is ${actual} instead of ${value}`)
      })
    }
    assert.ok(peakMemoryBytes > 1_000_000)
  } finally {
    await training.close()
  }
})

test('a fault in the graph is reported, and the process goes on', async () => {
  const training = await Training.start({ ...graphs, state: start(), threads: 1 })
  try {
    const incomplete = Object.fromEntries(Object.entries(batch(1)).filter(([name]) => name !== 'embedding'))
    await assert.rejects(
      training.steps([incomplete]),
      (error) =>
        error instanceof LabelstreamError &&
        error.code === 'TRAINING_FAILED' &&
        /embedding/.test(error.message),
    )
    assert.equal((await training.steps([batch(1)])).length, 1)
  } finally {
    await training.close()
  }
})

test('a closed training process refuses work, and closing twice is fine', async () => {
  const training = await Training.start({ ...graphs, state: start(), threads: 1 })
  // more than it can have done before it is killed
  const inFlight = training.steps(Array.from({ length: 2_000 }, () => batch(1)))
  const refused = assert.rejects(inFlight, (error) => error instanceof LabelstreamError)
  await training.close()
  await training.close()
  await refused
  await assert.rejects(training.steps([]), (error) => error instanceof LabelstreamError)
})

test('a broken graph is refused at the start', async () => {
  await assert.rejects(
    Training.start({ ...graphs, step: new Uint8Array([1, 2, 3]), state: start(), threads: 1 }),
    (error) => error instanceof LabelstreamError && error.code === 'TRAINING_FAILED',
  )
})
