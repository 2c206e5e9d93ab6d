import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { matrix } from '../../src/evaluation/matrix.ts'
import { evaluateScores } from '../../src/evaluation/metrics.ts'
import { calibrate, identityCalibrator } from '../../src/evaluation/calibrators.ts'
import {
  type HeadHyperparameters,
  type HeadRows,
  fitHead,
  meanCrossEntropy,
} from '../../src/train/fit-head.ts'
import { learningRateAt, derivedSeed } from '../../src/train/schedule.ts'
import { throwsCode } from '../support/throws-code.ts'
import { headConfig } from '../support/head-config.ts'

const labels = ['first', 'both']
const hyperparameters: HeadHyperparameters = {
  epochs: 25,
  batch: 16,
  learningRate: 0.02,
  weightDecay: 0.01,
  dropout: 0.1,
  warmup: 0.1,
  patience: 5,
  positiveWeightPower: 0,
  seed: 1,
}

/** Rows whose first label is the sign of one input, the second (exclusive or) of two. A tenth is unknown. */
function rowsOf(count: number, seed: number): HeadRows {
  const random = seededRandom(seed)
  const embeddings = Float32Array.from({ length: count * 6 }, () => random.normal())
  const targets = Float32Array.from({ length: count * 2 }, (_, cell) => {
    const row = Math.floor(cell / 2)
    const [a, b] = [(embeddings[row * 6] ?? 0) > 0, (embeddings[row * 6 + 1] ?? 0) > 0]
    return random.next() < 0.1 ? NaN : Number(cell % 2 === 0 ? a : a !== b)
  })
  return { embeddings: matrix(count, 6, embeddings), targets: matrix(count, 2, targets) }
}

test('a linear head learns what is linear, a dense head the rest too', async () => {
  const [train, dev] = [rowsOf(300, 1), rowsOf(120, 2)]
  const f1Of = async (hidden: number[]) => {
    const fitted = await fitHead(headConfig(6, labels, hidden), train, dev, hyperparameters)
    await fitted.close()
    const scores = calibrate(fitted.devLogits, [identityCalibrator, identityCalibrator])
    return evaluateScores(scores, dev.targets, labels, [0.5, 0.5]).perLabel
  }
  const linear = await f1Of([])
  const dense = await f1Of([32])
  assert.ok((linear.first?.f1 ?? 0) > 0.9)
  assert.ok((linear.both?.f1 ?? 1) < 0.8)
  assert.ok((dense.both?.f1 ?? 0) > 0.85)
})

test('the same seed gives the same bits, another seed others', async () => {
  const [train, dev] = [rowsOf(60, 1), rowsOf(30, 2)]
  const run = async (seed: number) => {
    const options = { ...hyperparameters, epochs: 3, seed }
    const fitted = await fitHead(headConfig(6, labels, [8]), train, dev, options)
    await fitted.close()
    return fitted
  }
  const [first, again, other] = [await run(1), await run(1), await run(2)]
  assert.deepEqual(again.parameters, first.parameters)
  assert.deepEqual(again.history, first.history)
  assert.notDeepEqual(other.parameters, first.parameters)
})

test('training stops when the dev loss no longer falls, and keeps the best epoch', async () => {
  const [train, dev] = [rowsOf(40, 1), rowsOf(40, 2)]
  const options = { ...hyperparameters, epochs: 200, learningRate: 0.2, patience: 3, dropout: 0 }
  const fitted = await fitHead(headConfig(6, labels, [32]), train, dev, options)
  try {
    assert.ok(fitted.history.length < 200)
    assert.equal(fitted.history.length, fitted.bestEpoch + 3)
    const bestLoss = Math.min(...fitted.history.map(({ devLoss }) => devLoss))
    assert.equal(meanCrossEntropy(fitted.devLogits, dev.targets), bestLoss)
    assert.deepEqual((await fitted.logitsOf(dev.embeddings)).values, fitted.devLogits.values)
  } finally {
    await fitted.close()
  }
})

test('an abort ends training', async () => {
  const rows = rowsOf(20, 1)
  await throwsCode(
    () => fitHead(headConfig(6, labels), rows, rows, hyperparameters, { signal: AbortSignal.abort() }),
    'INTERRUPTED',
  )
})

test('the learning rate rises, then falls to 0', () => {
  const schedule = { peak: 1, warmupSteps: 2, totalSteps: 6 }
  const rates = [0, 1, 2, 3, 4, 5, 6].map((step) => learningRateAt(step, schedule))
  assert.deepEqual(rates, [0.5, 1, 1, 0.75, 0.5, 0.25, 0])
  assert.equal(learningRateAt(0, { ...schedule, warmupSteps: 0 }), 1)
})

test('derived seeds differ by purpose and by counter', () => {
  const seeds = [0, 1].flatMap((seed) =>
    [0, 1, 2].flatMap((step) =>
      (['order', 'dropout'] as const).map((purpose) => derivedSeed(seed, purpose, step)),
    ),
  )
  assert.equal(new Set(seeds).size, seeds.length)
})
