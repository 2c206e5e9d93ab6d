import type { ModelConfig } from '../encoders/config.ts'
import { headParameters } from '../encoders/weights.ts'
import { seededRandom } from '../core/random.ts'
import { type Matrix, matrix } from '../evaluation/matrix.ts'
import type { FloatArray, FloatArrays } from '../runtime/training-messages.ts'
import { Training } from '../runtime/training.ts'
import { sizeOf } from './flat-parameters.ts'
import { type HeadGraphs, buildHeadGraphs } from './head-graph.ts'
import { checkInterrupted } from './progress.ts'
import { dropoutFeeds, rowFeeds, stepFeeds } from './head-feeds.ts'
import { initialHead, positiveWeights } from './initial-head.ts'
import { derivedSeed } from './schedule.ts'

export interface HeadHyperparameters {
  readonly epochs: number
  readonly batch: number
  readonly learningRate: number
  readonly weightDecay: number
  readonly dropout: number
  /** Part of all steps in which the learning rate rises. */
  readonly warmup: number
  /** Epochs without a better dev loss after which training stops. */
  readonly patience: number
  /** Weight of positives in the loss: 1, or (negatives / positives) to this power. */
  readonly positiveWeightPower: number
  readonly seed: number
}

export interface EpochLoss {
  readonly epoch: number
  readonly trainLoss: number
  readonly devLoss: number
}

/** Embeddings `[rows, hidden]` and targets `[rows, labels]`, NaN where unknown. */
export interface HeadRows {
  readonly embeddings: Matrix
  readonly targets: Matrix
}

export interface FittedHead {
  /** The parameters of the epoch with the best dev loss. */
  readonly parameters: FloatArrays
  readonly devLogits: Matrix
  readonly history: readonly EpochLoss[]
  readonly bestEpoch: number
  readonly steps: number
  readonly peakMemoryBytes: number
  /** Logits of other embeddings under the best parameters. */
  readonly logitsOf: (embeddings: Matrix) => Promise<Matrix>
  readonly close: () => Promise<void>
}

/**
 * Trains a head on frozen embeddings: AdamW on masked binary cross-entropy, warm-up and linear decay, early
 * stopping on the dev loss. The caller closes the result. The same inputs and seed give the same bits on one
 * machine. Throws TRAINING_FAILED, and INTERRUPTED when the signal is aborted.
 */
export async function fitHead(
  config: ModelConfig,
  train: HeadRows,
  dev: HeadRows,
  hyperparameters: HeadHyperparameters,
  hooks: { readonly onEpoch?: (loss: EpochLoss, epochs: number) => void; readonly signal?: AbortSignal } = {},
): Promise<FittedHead> {
  const graphs = buildHeadGraphs(config, hyperparameters)
  const state = initialState(config, graphs, train.targets, hyperparameters.seed)
  // One thread: a head is small, and the order of sums stays the same on every machine.
  const training = await Training.start({ step: graphs.step, forward: graphs.forward, state, threads: 1 })
  try {
    const parameterNames = [...headParameters(config).keys()]
    const fit = await runEpochs(training, { graphs, train, dev, hyperparameters, parameterNames, hooks })
    return {
      ...fit,
      logitsOf: (embeddings) => forwardWith(training, fit.parameters, embeddings),
      close: () => training.close(),
    }
  } catch (error) {
    await training.close()
    throw error
  }
}

/** Bounds the memory that batches on their way to the training process take. */
const batchesAMessage = 64

interface Run {
  readonly graphs: HeadGraphs
  readonly train: HeadRows
  readonly dev: HeadRows
  readonly hyperparameters: HeadHyperparameters
  readonly parameterNames: readonly string[]
  readonly hooks: {
    readonly onEpoch?: (loss: EpochLoss, epochs: number) => void
    readonly signal?: AbortSignal
  }
}

async function runEpochs(
  training: Training,
  { graphs, train, dev, hyperparameters, parameterNames, hooks }: Run,
): Promise<Omit<FittedHead, 'logitsOf' | 'close'>> {
  const { epochs, batch, patience } = hyperparameters
  const stepsAnEpoch = Math.ceil(train.embeddings.rows / batch)
  const positiveWeight = {
    shape: [train.targets.columns],
    values: positiveWeights(train.targets, hyperparameters.positiveWeightPower),
  }
  const history: EpochLoss[] = []
  let best: { epoch: number; devLoss: number; parameters: FloatArrays; devLogits: Matrix } | undefined
  let steps = 0
  let peakMemoryBytes = 0
  for (let epoch = 1; epoch <= epochs; epoch++) {
    checkInterrupted(hooks.signal)
    const order = seededRandom(derivedSeed(hyperparameters.seed, 'order', epoch)).shuffle(
      Array.from({ length: train.embeddings.rows }, (_, row) => row),
    )
    const losses: number[] = []
    for (let start = 0; start < order.length; start += batch * batchesAMessage) {
      const batches: FloatArrays[] = []
      for (let from = start; from < Math.min(order.length, start + batch * batchesAMessage); from += batch) {
        const rows = order.slice(from, from + batch)
        batches.push({
          ...rowFeeds(train, rows),
          ...dropoutFeeds(graphs.dropoutWidths, {
            rows: rows.length,
            rate: hyperparameters.dropout,
            seed: derivedSeed(hyperparameters.seed, 'dropout', steps),
          }),
          ...stepFeeds(steps, stepsAnEpoch * epochs, hyperparameters),
          positiveWeight,
        })
        steps++
      }
      losses.push(...(await training.steps(batches)))
      checkInterrupted(hooks.signal)
    }
    const devLogits = matrix(
      dev.embeddings.rows,
      dev.targets.columns,
      (await training.forward({ embedding: arrayOf(dev.embeddings) })).values,
    )
    const devLoss = meanCrossEntropy(devLogits, dev.targets)
    const trainLoss = losses.reduce((sum, loss) => sum + loss, 0) / losses.length
    history.push({ epoch, trainLoss, devLoss })
    hooks.onEpoch?.({ epoch, trainLoss, devLoss }, epochs)
    if (best === undefined || devLoss < best.devLoss) {
      const { arrays, peakMemoryBytes: peak } = await training.state(parameterNames)
      best = { epoch, devLoss, parameters: arrays, devLogits }
      peakMemoryBytes = peak
    }
    if (epoch - best.epoch >= patience) break
  }
  if (best === undefined) throw new RangeError('at least one epoch is needed')
  return {
    parameters: best.parameters,
    devLogits: best.devLogits,
    history,
    bestEpoch: best.epoch,
    steps,
    peakMemoryBytes,
  }
}

/** The forward graph takes parameters as feeds too: those given win over the ones that training holds. */
async function forwardWith(training: Training, parameters: FloatArrays, embeddings: Matrix): Promise<Matrix> {
  const { values, shape } = await training.forward({ ...parameters, embedding: arrayOf(embeddings) })
  return matrix(embeddings.rows, shape[1] ?? 0, values)
}

/** A new head with moments of 0. */
function initialState(config: ModelConfig, graphs: HeadGraphs, targets: Matrix, seed: number): FloatArrays {
  const parameters = initialHead(headParameters(config), targets, seed)
  return Object.fromEntries(
    [...graphs.stateShapes].map(([name, shape]): [string, FloatArray] => [
      name,
      { shape, values: parameters.get(name) ?? new Float32Array(sizeOf(shape)) },
    ]),
  )
}

/** Mean binary cross-entropy over the known cells. */
export function meanCrossEntropy(logits: Matrix, targets: Matrix): number {
  let sum = 0
  let known = 0
  logits.values.forEach((logit, cell) => {
    const target = targets.values[cell] ?? NaN
    if (Number.isNaN(target)) return
    known++
    sum += Math.max(logit, 0) - logit * target + Math.log1p(Math.exp(-Math.abs(logit)))
  })
  return known === 0 ? 0 : sum / known
}

const arrayOf = ({ rows, columns, values }: Matrix): FloatArray => ({ shape: [rows, columns], values })
