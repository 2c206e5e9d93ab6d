import { monotonicMs } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import { floatsToHalves, halvesToFloats } from '../core/half.ts'
import type { ModelConfig } from '../encoders/config.ts'
import { modelParameters } from '../encoders/model.ts'
import { sigmoid } from '../evaluation/calibrators.ts'
import { type Matrix, matrix } from '../evaluation/matrix.ts'
import { evaluateScores } from '../evaluation/metrics.ts'
import { type Checkpoint, CheckpointFolder, type CheckpointProgress } from './checkpoint.ts'
import { epochBatches, stepsPerEpoch } from './encoder-batches.ts'
import { EncoderTrainer } from './encoder-trainer.ts'
import { meanCrossEntropy } from './fit-head.ts'
import type { FitJob, FitProgress, FitResult } from './fit-messages.ts'
import { isEncoderParameter } from './model-files.ts'

export interface FitHooks {
  readonly onProgress: (progress: FitProgress) => void
  readonly onWarning: (message: string) => void
  /** Asked between two steps: true ends the training after a checkpoint. */
  readonly isStopped: () => boolean
}

const progressEveryMs = 500

/**
 * Trains a whole encoder from where its checkpoint stands. The result has the same bits however often it was
 * interrupted. Resolves with undefined when it was stopped. Throws TRAINING_FAILED.
 */
export async function fitEncoderHere(job: FitJob, hooks: FitHooks): Promise<FitResult | undefined> {
  const { config, hyperparameters, train, parameters, providers, threads } = job
  const epochSteps = stepsPerEpoch(train.windows.length, hyperparameters.batch)
  const totalSteps = epochSteps * hyperparameters.epochs
  const trainer = await EncoderTrainer.create({
    config,
    parameters,
    hyperparameters,
    train,
    totalSteps,
    providers,
    threads,
  })
  if (trainer.providerFallback !== undefined) {
    hooks.onWarning(`training runs on a provider further down: ${trainer.providerFallback}`)
  }
  const fit = new Fit(job, hooks, trainer, { epochSteps, totalSteps })
  const resumedFrom = await fit.resume()
  if (!(await fit.run())) return undefined
  return { ...(await fit.finish()), resumedFrom }
}

const start: CheckpointProgress = {
  step: 0,
  lossSum: 0,
  lossCount: 0,
  tokens: 0,
  seconds: 0,
  history: [],
  bestEpoch: 0,
}

class Fit {
  readonly #job: FitJob
  readonly #hooks: FitHooks
  readonly #trainer: EncoderTrainer
  readonly #steps: { readonly epochSteps: number; readonly totalSteps: number }
  readonly #checkpoints: CheckpointFolder
  #progress = start
  #best: Map<string, Float32Array> | undefined

  constructor(
    job: FitJob,
    hooks: FitHooks,
    trainer: EncoderTrainer,
    steps: { epochSteps: number; totalSteps: number },
  ) {
    this.#job = job
    this.#hooks = hooks
    this.#trainer = trainer
    this.#steps = steps
    this.#checkpoints = new CheckpointFolder(job.checkpointFolder)
  }

  /** The step to go on from. */
  async resume(): Promise<number> {
    const checkpoint = await this.#checkpoints.read((reason) => {
      this.#hooks.onWarning(`the checkpoint cannot be used, training starts anew: ${reason}`)
    })
    if (checkpoint === undefined) return 0
    try {
      this.#trainer.restore(checkpoint.state)
    } catch (error) {
      this.#hooks.onWarning(
        `the checkpoint is of another training, this one starts anew: ${messageOf(error)}`,
      )
      return 0
    }
    this.#progress = checkpoint.progress
    this.#best = checkpoint.best === undefined ? undefined : floatsOf(checkpoint.best)
    return checkpoint.progress.step
  }

  /** False when stopped before the end. */
  async run(): Promise<boolean> {
    const { windows } = this.#job.train
    const { batch, seed } = this.#job.hyperparameters
    const lengths = windows.map(({ length }) => length)
    let epoch = 0
    let batches: number[][] = []
    let savedMs = monotonicMs()
    let shownMs = -Infinity
    while (!this.#isDone()) {
      if (this.#hooks.isStopped()) {
        await this.#save()
        return false
      }
      const startedMs = monotonicMs()
      const step = this.#progress.step + 1
      const { epochSteps, totalSteps } = this.#steps
      const epochOfStep = Math.ceil(step / epochSteps)
      if (epochOfStep !== epoch) {
        epoch = epochOfStep
        batches = epochBatches(lengths, { batch, seed, epoch })
      }
      const { loss, tokens } = await this.#trainer.step(step, batches[(step - 1) % epochSteps] ?? [])
      const before = this.#progress
      const seconds = before.seconds + (monotonicMs() - startedMs) / 1000
      this.#progress = {
        ...before,
        step,
        tokens: before.tokens + tokens,
        seconds,
        lossSum: before.lossSum + loss,
        lossCount: before.lossCount + 1,
      }
      if (monotonicMs() - shownMs >= progressEveryMs || step === totalSteps) {
        shownMs = monotonicMs()
        this.#hooks.onProgress(progressOf(this.#progress, totalSteps))
      }
      if (step % epochSteps === 0) await this.#endEpoch(epoch)
      if (monotonicMs() - savedMs >= this.#job.checkpointEverySeconds * 1000) {
        await this.#save()
        savedMs = monotonicMs()
      }
      // Messages and signals are heard between steps.
      await new Promise(setImmediate)
    }
    // What took long is kept until the version stands.
    if (this.#progress.seconds >= this.#job.checkpointEverySeconds) await this.#save()
    return true
  }

  async finish(): Promise<Omit<FitResult, 'resumedFrom'>> {
    const { config, halves, dev, scored } = this.#job
    const best = this.#best ?? this.#trainer.snapshot(this.#progress.step)
    const parameters = halves ? roundedToHalves(best, config) : best
    const logits = new Map<string, Float32Array>()
    for (const [name, windows] of scored) logits.set(name, await this.#trainer.logits(windows, parameters))
    const { history, bestEpoch, step, tokens, seconds } = this.#progress
    return {
      parameters,
      logits,
      devLogits: await this.#trainer.logits(dev.windows, parameters),
      history,
      bestEpoch,
      steps: step,
      trainableParameters: this.#trainer.trainableParameters,
      tokens,
      seconds,
      peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    }
  }

  /** At the end, or when the dev score has not risen for long. */
  #isDone(): boolean {
    const { step, history, bestEpoch } = this.#progress
    const epoch = history.at(-1)?.epoch ?? 0
    return (
      step >= this.#steps.totalSteps ||
      (step === epoch * this.#steps.epochSteps && epoch - bestEpoch >= this.#job.hyperparameters.patience)
    )
  }

  async #endEpoch(epoch: number): Promise<void> {
    const { dev } = this.#job
    const { lossSum, lossCount, history, step } = this.#progress
    const parameters = this.#trainer.snapshot(step)
    const values = await this.#trainer.logits(dev.windows, parameters)
    const logits = matrix(dev.targets.rows, dev.targets.columns, values)
    const devLoss = meanCrossEntropy(logits, dev.targets)
    const devScore = scoreOf(logits, dev.targets, devLoss)
    const isBest = history.every((earlier) => devScore > earlier.devScore)
    if (isBest) this.#best = parameters
    this.#progress = {
      ...this.#progress,
      lossSum: 0,
      lossCount: 0,
      history: [...history, { epoch, trainLoss: lossSum / Math.max(1, lossCount), devLoss, devScore }],
      bestEpoch: isBest ? epoch : this.#progress.bestEpoch,
    }
  }

  /** A checkpoint that cannot be written is no reason to lose the training. */
  async #save(): Promise<void> {
    const checkpoint: Checkpoint = {
      progress: this.#progress,
      state: this.#trainer.state(),
      best: this.#best,
    }
    await this.#checkpoints.write(checkpoint).catch((error: unknown) => {
      this.#hooks.onWarning(`no checkpoint could be written, training goes on without: ${messageOf(error)}`)
    })
  }
}

function progressOf(
  { step, lossSum, lossCount, tokens, seconds }: CheckpointProgress,
  totalSteps: number,
): FitProgress {
  return {
    step,
    totalSteps,
    loss: lossSum / Math.max(1, lossCount),
    tokensPerSecond: seconds === 0 ? 0 : tokens / seconds,
    secondsLeft: step === 0 ? 0 : (seconds / step) * (totalSteps - step),
  }
}

/** Mean average precision; where no label has a positive, the negated loss. */
function scoreOf(logits: Matrix, targets: Matrix, loss: number): number {
  const scores = matrix(logits.rows, logits.columns, logits.values.map(sigmoid))
  const labels = Array.from({ length: targets.columns }, (_, column) => String(column))
  const { meanAveragePrecision } = evaluateScores(scores, targets, labels, [])
  return meanAveragePrecision > 0 ? meanAveragePrecision : -loss
}

function roundedToHalves(
  parameters: ReadonlyMap<string, Float32Array>,
  config: ModelConfig,
): Map<string, Float32Array> {
  return new Map(
    [...modelParameters(config, 'logits').keys()].map((name) => {
      const values = parameters.get(name) ?? new Float32Array(0)
      return [name, isEncoderParameter(name) ? halvesToFloats(floatsToHalves(values)) : values]
    }),
  )
}

const floatsOf = (state: ReadonlyMap<string, Float32Array | Int32Array>): Map<string, Float32Array> =>
  new Map([...state].map(([name, values]) => [name, Float32Array.from(values)]))
