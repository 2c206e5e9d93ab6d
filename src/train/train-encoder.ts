import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../core/digest.ts'
import type { ModelConfig } from '../encoders/config.ts'
import { modelParameters } from '../encoders/model.ts'
import { encoderParameters, headParameters, poolerParameters, resolveWeights } from '../encoders/weights.ts'
import { type Matrix, matrix } from '../evaluation/matrix.ts'
import { readSafetensors, toFloat32 } from '../formats/safetensors.ts'
import { TokenizerPool } from '../text/tokenizer-pool.ts'
import { targetsOf } from './dataset.ts'
import { type TokenRows, stepsPerEpoch } from './encoder-batches.ts'
import type { FitProgress } from './encoder-fit.ts'
import {
  type EncoderHyperparameters,
  defaultEncoderHyperparameters,
  defaultEpochs,
} from './encoder-hyperparameters.ts'
import { fitEncoder } from './fit-encoder.ts'
import { initialHead } from './initial-head.ts'
import { weightsOfWhole } from './model-files.ts'
import { trainHeadFirst } from './train-head.ts'
import {
  type HyperparameterChanges,
  type TextPart,
  type Trained,
  type TrainingRun,
  joinParts,
  withChanges,
} from './training-run.ts'

const checkpointEverySeconds = 120

/**
 * The whole encoder with its head; with `head-then-all` the head is trained on the frozen encoder first. Goes on
 * from its checkpoint in the cache folder where one of the same data, options and seed stands there.
 */
export async function trainEncoder(run: TrainingRun): Promise<Trained> {
  const { config, prepared, strategy, changes, runner, onProgress, onWarning, signal } = run
  const hyperparameters = hyperparametersFor(prepared.split.train.rows.length, changes)
  const checkpointFolder = checkpointFolderOf(run, hyperparameters)
  const first = strategy.trains === 'head-then-all' ? await trainHeadFirst(run) : undefined
  const windowsOf = await tokenizeParts(run)
  const train: TokenRows = { windows: windowsOf('train'), targets: targetsOf(prepared.split.train) }
  const fitted = await fitEncoder(
    {
      config,
      parameters: startingParameters(run, train.targets, hyperparameters.seed, first?.parameters),
      hyperparameters,
      train,
      dev: { windows: windowsOf('dev'), targets: targetsOf(prepared.split.dev) },
      scored: new Map([
        ['test', windowsOf('test')],
        ['golden', windowsOf('golden')],
      ]),
      halves: hasHalves(run.files.weights),
      checkpointFolder,
      checkpointEverySeconds,
      threads: runner.threads,
    },
    {
      onProgress: (progress) => {
        onProgress({
          phase: 'train',
          done: progress.step,
          total: progress.totalSteps,
          detail: detailOf(progress),
        })
      },
      onWarning,
      ...(signal === undefined ? {} : { signal }),
    },
  )
  const labels = config.labels.length
  const matrixOf = (values: Float32Array | undefined): Matrix =>
    matrix((values?.length ?? 0) / labels, labels, values ?? new Float32Array(0))
  const { seed, ...numbers } = hyperparameters
  return {
    weights: weightsOfWhole(run.files.weights, config, fitted.parameters),
    devLogits: matrixOf(fitted.devLogits),
    testLogits: matrixOf(fitted.logits.get('test')),
    goldenLogits: matrixOf(fitted.logits.get('golden')),
    hyperparameters: { ...numbers },
    seed,
    history: fitted.history,
    bestEpoch: fitted.bestEpoch,
    steps: fitted.steps,
    trainableParameters: fitted.trainableParameters,
    tokens: fitted.tokens + (first?.tokens ?? 0),
    peakMemoryBytes: Math.max(fitted.peakMemoryBytes, first?.peakMemoryBytes ?? 0),
    discardCheckpoint: () => rm(checkpointFolder, { recursive: true, force: true }),
  }
}

function hyperparametersFor(rows: number, changes: HyperparameterChanges): EncoderHyperparameters {
  const chosen = withChanges(defaultEncoderHyperparameters, changes)
  if (changes.epochs !== undefined) return chosen
  return { ...chosen, epochs: defaultEpochs(stepsPerEpoch(rows, chosen.batch)) }
}

/** Where this very training keeps its checkpoint: another seed, other data or options have another one. */
function checkpointFolderOf(run: TrainingRun, hyperparameters: EncoderHyperparameters): string {
  const identity = JSON.stringify([
    run.prepared.data.digest,
    run.encoder.digest,
    run.strategy.name,
    run.config,
    run.maxTokens,
    hyperparameters,
  ])
  return join(run.cacheFolder, `training-${sha256(identity).slice(0, 16)}`)
}

/** The first window of each text, by part. */
async function tokenizeParts(run: TrainingRun): Promise<(part: TextPart) => Int32Array[]> {
  const { texts, rangeOf } = joinParts(run.prepared)
  const tokenizer = await TokenizerPool.start({
    folder: run.encoder.folder,
    threads: run.runner.tokenizerThreads,
    maxTokens: run.maxTokens,
    maxWindows: 1,
    strideTokens: 0,
  })
  const tokenized = await tokenizer.tokenize(texts).finally(() => tokenizer.close())
  const windows = tokenized.map((text) => text.windows[0] ?? new Int32Array(0))
  return (part) => windows.slice(...rangeOf(part))
}

/** The base encoder's weights, and a head: the given one or a new one. */
function startingParameters(
  { config, files }: TrainingRun,
  targets: Matrix,
  seed: number,
  head: ReadonlyMap<string, Float32Array> | undefined,
): Map<string, Float32Array> {
  const base = readSafetensors(files.weights)
  const needed = [...encoderParameters(config)]
  // Encoders that were trained without a pooler have none to give.
  const hasPooler =
    config.pooling === 'pooler' && [...base.keys()].some((name) => name.includes('pooler.dense'))
  if (hasPooler) needed.push(...poolerParameters(config))
  const start = initialHead(newParameters(config, hasPooler), targets, seed)
  for (const [name, tensor] of resolveWeights(new Map(needed), base)) start.set(name, toFloat32(tensor, name))
  for (const [name, values] of head ?? []) start.set(name, values)
  return new Map(
    [...modelParameters(config, 'logits').keys()].map((name) => [
      name,
      start.get(name) ?? new Float32Array(0),
    ]),
  )
}

const newParameters = (config: ModelConfig, hasPooler: boolean) =>
  new Map([
    ...(config.pooling === 'pooler' && !hasPooler ? poolerParameters(config) : []),
    ...headParameters(config),
  ])

/** Trained weights are stored as the base stores them. */
const hasHalves = (weights: Uint8Array): boolean =>
  [...readSafetensors(weights).values()].some(({ dtype }) => dtype === 'F16')

const detailOf = ({ loss, tokensPerSecond, secondsLeft }: FitProgress): string =>
  `loss ${loss.toFixed(4)}, ${Math.round(tokensPerSecond)} tokens/s, ${leftText(secondsLeft)} left`

const leftText = (seconds: number): string =>
  seconds < 100 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`
