/** Our side of training-pace: `node pace-ours.js JOB.json` runs the steps of `retrain` and prints a PaceResult. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { median } from '../../src/commands/percentile.ts'
import { monotonicMs } from '../../src/core/clock.ts'
import { encoderParameters, resolveWeights } from '../../src/encoders/weights.ts'
import { matrix } from '../../src/evaluation/matrix.ts'
import { readSafetensors, toFloat32 } from '../../src/formats/safetensors.ts'
import { EncoderTrainer } from '../../src/train/encoder-trainer.ts'
import { meanCrossEntropy } from '../../src/train/fit-head.ts'
import { type PaceJob, type PaceResult, paceConfig } from './pace-job.ts'

const job = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as PaceJob
const config = paceConfig(job.labels)
const parameters = new Map<string, Float32Array>([
  ['classifier.weight', Float32Array.from(job.head.weight)],
  ['classifier.bias', Float32Array.from(job.head.bias)],
])
const stored = readSafetensors(readFileSync(join(job.encoderFolder, 'model.safetensors')))
for (const [name, tensor] of resolveWeights(encoderParameters(config), stored, config)) {
  parameters.set(name, toFloat32(tensor, name))
}
const windows = job.windows.map((ids) => Int32Array.from(ids))
const columns = job.labels.length
const trainer = await EncoderTrainer.create({
  config,
  parameters,
  hyperparameters: job.hyperparameters,
  train: { windows, targets: matrix(windows.length, columns, Float32Array.from(job.targets.flat())) },
  totalSteps: job.totalSteps,
  providers: [job.provider],
  threads: job.threads,
})

const first = job.batches[0] ?? []
const logits = await trainer.logits(
  first.map((row) => windows[row] ?? new Int32Array(0)),
  new Map(),
)
const firstTargets = Float32Array.from(first.flatMap((row) => job.targets[row] ?? []))
const startLoss = meanCrossEntropy(
  matrix(first.length, columns, logits),
  matrix(first.length, columns, firstTargets),
)

const stepMs: number[] = []
let tokens = 0
let lossSum = 0
for (const [index, rows] of job.batches.entries()) {
  const startedMs = monotonicMs()
  const done = await trainer.step(index + 1, rows)
  if (index < job.warmupSteps) continue
  stepMs.push(monotonicMs() - startedMs)
  tokens += done.tokens
  lossSum += done.loss
}
const result: PaceResult = {
  tokens,
  seconds: stepMs.reduce((sum, ms) => sum + ms, 0) / 1000,
  medianStepMs: median(stepMs),
  peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
  startLoss,
  loss: lossSum / stepMs.length,
}
process.stdout.write(`${JSON.stringify(result)}\n`)
