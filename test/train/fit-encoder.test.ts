import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { siblingModule } from '../../src/core/paths.ts'
import { seededRandom } from '../../src/core/random.ts'
import { matrix } from '../../src/evaluation/matrix.ts'
import { fitEncoderHere } from '../../src/train/encoder-fit.ts'
import { fitEncoder } from '../../src/train/fit-encoder.ts'
import type { FitJob, FitRequest, FitResult } from '../../src/train/fit-messages.ts'
import { learnableRows, tinyFitJob } from '../support/fit-job.ts'
import { temporaryFolder } from '../support/model-folder.ts'

const silent = { onProgress: () => undefined, onWarning: () => undefined, isStopped: () => false }

async function fit(job: FitJob): Promise<FitResult> {
  const result = await fitEncoderHere(job, silent)
  assert.ok(result !== undefined)
  return result
}

/** Takes this many steps and stops with a checkpoint, as a killed process leaves it after its last one. */
async function stopAfter(job: FitJob, steps: number): Promise<void> {
  let asked = 0
  const result = await fitEncoderHere(job, { ...silent, isStopped: () => asked++ >= steps })
  assert.equal(result, undefined)
}

function assertSameBits(actual: FitResult, expected: FitResult): void {
  assert.deepEqual(actual.parameters, expected.parameters)
  assert.deepEqual(actual.devLogits, expected.devLogits)
  assert.deepEqual(actual.history, expected.history)
}

test('training lowers the loss and finds what decides the labels', async () => {
  const result = await fit(tinyFitJob(await temporaryFolder(), { hyper: { epochs: 12 } }))
  const [first] = result.history
  const last = result.history.at(-1)
  assert.ok(first !== undefined && last !== undefined)
  assert.ok(last.trainLoss < 0.7 * first.trainLoss, `${first.trainLoss} to ${last.trainLoss}`)
  assert.ok(last.devScore > first.devScore)
  assert.equal(result.steps, 12 * 8)
})

test('a training that was stopped at random steps ends with the same bits', async () => {
  const hyper = { averageDecay: 0.9, clipNorm: 0.5 }
  const whole = await fit(tinyFitJob(await temporaryFolder(), { hyper }))
  const job = tinyFitJob(await temporaryFolder(), { hyper })
  const random = seededRandom(Number(process.env['SEED'] ?? 3))
  let done = 0
  while (done < 18) {
    const steps = 1 + random.integer(7)
    await stopAfter(job, steps)
    done += steps
  }
  const resumed = await fit(job)
  assert.ok(resumed.resumedFrom >= 18)
  assertSameBits(resumed, whole)
})

test('a training process that is killed at random moments goes on from its checkpoints to the same bits', async () => {
  const whole = await fit(tinyFitJob(await temporaryFolder()))
  const job = tinyFitJob(await temporaryFolder())
  const random = seededRandom(Number(process.env['SEED'] ?? 5))
  for (let kill = 0; kill < 3; kill++) {
    const child = fork(siblingModule(import.meta.url, '../../src/train/fit-process'), [], {
      serialization: 'advanced',
      execArgv: [],
    })
    let messages = random.integer(3)
    child.on('message', () => {
      if (messages-- === 0) child.kill('SIGKILL')
    })
    child.send({ kind: 'fit', job } satisfies FitRequest)
    await once(child, 'exit')
  }
  assertSameBits(await fit(job), whole)
})

test('a training process that is stopped writes a checkpoint and goes on from its checkpoint to the same bits', async () => {
  const whole = await fit(tinyFitJob(await temporaryFolder()))
  const job = tinyFitJob(await temporaryFolder())
  const controller = new AbortController()
  await assert.rejects(
    fitEncoder(job, { onProgress: () => controller.abort(), signal: controller.signal }),
    (error) => error instanceof LabelstreamError && error.code === 'INTERRUPTED',
  )
  const resumed = await fitEncoder(job)
  assert.ok(resumed.resumedFrom > 0)
  assertSameBits(resumed, whole)
})

test('a damaged checkpoint is left out and the result is the same', async () => {
  const whole = await fit(tinyFitJob(await temporaryFolder()))
  const folder = await temporaryFolder()
  await stopAfter(tinyFitJob(folder), 5)
  for (const file of await readdir(folder)) {
    if (file.startsWith('state-')) await writeFile(join(folder, file), 'damaged')
  }
  const again = await fit(tinyFitJob(folder))
  assert.equal(again.resumedFrom, 0)
  assertSameBits(again, whole)
})

test('training goes on when no checkpoint can be written, and says so', async () => {
  const folder = await temporaryFolder()
  await writeFile(join(folder, 'file'), '')
  const warnings: string[] = []
  const result = await fitEncoderHere(tinyFitJob(join(folder, 'file', 'below')), {
    ...silent,
    onWarning: (message) => warnings.push(message),
  })
  assert.ok(result !== undefined)
  assert.match(warnings[0] ?? '', /no checkpoint could be written/)
})

test('a batch cut into parts by the token budget is stepped as one', async () => {
  const hyper = { dropout: 0, tokenDropout: 0, epochs: 1 }
  const whole = await fit(tinyFitJob(await temporaryFolder(), { hyper, halves: false }))
  const parts = await fit(
    tinyFitJob(await temporaryFolder(), { hyper: { ...hyper, budgetTokens: 20 }, halves: false }),
  )
  for (const [name, values] of whole.parameters) {
    // The gradient by key biases is rounding alone, which AdamW takes for a direction.
    if (name.endsWith('key.bias')) continue
    const other = parts.parameters.get(name) ?? new Float32Array(0)
    const difference = Math.max(...values.map((value, i) => Math.abs(value - (other[i] ?? NaN))))
    assert.ok(difference < 1e-3, `${name} differs by ${difference}`)
  }
})

test('frozen layers keep their weights', async () => {
  const job = tinyFitJob(await temporaryFolder(), { hyper: { frozenLayers: 1 }, halves: false })
  const { parameters } = await fit(job)
  for (const [name, values] of parameters) {
    const stays = name.startsWith('bert.embeddings.') || name.startsWith('bert.encoder.layer.0.')
    if (stays) assert.deepEqual(values, job.parameters.get(name), name)
    else assert.notDeepEqual(values, job.parameters.get(name), name)
  }
})

test('one text, labels of one class and labels nobody knows give numbers', async () => {
  const row = learnableRows(1, 3, 4)
  const targets = matrix(1, 3, Float32Array.of(1, 0, NaN))
  const { parameters, devLogits } = await fit(
    tinyFitJob(await temporaryFolder(), {
      train: { windows: row.windows, targets },
      dev: { windows: row.windows, targets },
    }),
  )
  for (const values of [...parameters.values(), devLogits]) assert.ok(values.every(Number.isFinite))
})

test('a training that diverges says so instead of writing numbers that are none', async () => {
  const hyper = { learningRate: 1e30, headLearningRate: 1e30, warmup: 0 }
  const job = tinyFitJob(await temporaryFolder(), { hyper })
  await assert.rejects(
    fitEncoder(job),
    (error) =>
      error instanceof LabelstreamError &&
      error.code === 'TRAINING_FAILED' &&
      /lower learning rate/.test(error.message),
  )
})

test('training stops when the dev score does not rise for long', async () => {
  const { history, bestEpoch } = await fit(
    tinyFitJob(await temporaryFolder(), {
      hyper: { epochs: 40, patience: 2, learningRate: 0, headLearningRate: 0, weightDecay: 0 },
    }),
  )
  assert.equal(bestEpoch, 1)
  assert.equal(history.length, 3)
})

for (const loss of ['focal', 'asymmetric'] as const) {
  test(`${loss} loss with smoothed targets and weighted positives trains`, async () => {
    const { history } = await fit(
      tinyFitJob(await temporaryFolder(), {
        hyper: { loss, labelSmoothing: 0.1, positiveWeightPower: 0.5, decay: 'cosine', layerDecay: 0.9 },
      }),
    )
    assert.ok((history.at(-1)?.trainLoss ?? NaN) < (history[0]?.trainLoss ?? NaN))
  })
}
