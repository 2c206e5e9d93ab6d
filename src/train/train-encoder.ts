import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../core/digest.ts'
import type { ModelConfig } from '../encoders/config.ts'
import { modelParameters } from '../encoders/model.ts'
import { encoderParameters, headParameters, poolerParameters, resolveWeights } from '../encoders/weights.ts'
import { type Matrix, matrix } from '../evaluation/matrix.ts'
import { readSafetensors, toFloat32, writeSafetensors } from '../formats/safetensors.ts'
import { providerCandidates, thisMachine } from '../runtime/provider.ts'
import { TokenizerPool } from '../text/tokenizer-pool.ts'
import { targetsOf } from './dataset.ts'
import { type TokenRows, stepsPerEpoch } from './encoder-batches.ts'
import type { FitProgress, FitResult } from './fit-messages.ts'
import {
  type EncoderHyperparameters,
  defaultEncoderHyperparameters,
  defaultEpochs,
} from './encoder-hyperparameters.ts'
import { fitEncoder } from './fit-encoder.ts'
import { initialHead } from './initial-head.ts'
import { tensorsOfWhole } from './model-files.ts'
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
  const { config, prepared, strategy, changes, files } = run
  const hyperparameters = hyperparametersFor(prepared.split.train.rows.length, changes)
  const first = strategy.trains === 'head-then-all' ? await trainHeadFirst(run) : undefined
  const rows = await tokenRows(run)
  const { fitted, discardCheckpoint } = await fitOne(run, config, rows, hyperparameters, first?.parameters)
  const labels = config.labels.length
  const matrixOf = (values: Float32Array | undefined): Matrix =>
    matrix((values?.length ?? 0) / labels, labels, values ?? new Float32Array(0))
  const { seed, ...numbers } = hyperparameters
  return {
    weights: writeSafetensors(tensorsOfWhole(files.weights, config, fitted.parameters), { format: 'pt' }),
    devLogits: matrixOf(fitted.devLogits),
    testLogits: matrixOf(fitted.logits.get('test')),
    goldenLogits: matrixOf(fitted.logits.get('golden')),
    hyperparameters: { ...numbers },
    seed,
    history: fitted.history,
    bestEpoch: fitted.bestEpoch,
    steps: fitted.steps,
    trainableParameters: fitted.trainableParameters,
    tokens: fitted.tokens,
    stepSeconds: fitted.seconds,
    peakMemoryBytes: Math.max(fitted.peakMemoryBytes, first?.peakMemoryBytes ?? 0),
    discardCheckpoint,
  }
}

/** The windows and targets of all parts. */
export interface RunRows {
  readonly train: TokenRows
  readonly dev: TokenRows
  readonly scored: ReadonlyMap<string, readonly Int32Array[]>
}

/** The first window of each text, and the targets, by part. */
export async function tokenRows(run: TrainingRun): Promise<RunRows> {
  const { split } = run.prepared
  const windowsOf = await tokenizeParts(run)
  return {
    train: { windows: windowsOf('train'), targets: run.trainTargets },
    dev: { windows: windowsOf('dev'), targets: targetsOf(split.dev) },
    scored: new Map([
      ['test', windowsOf('test')],
      ['golden', windowsOf('golden')],
    ]),
  }
}

/** Trains one encoder for the labels of `config`, of which `rows` have the targets. */
export async function fitOne(
  run: TrainingRun,
  config: ModelConfig,
  rows: RunRows,
  hyperparameters: EncoderHyperparameters,
  head?: ReadonlyMap<string, Float32Array>,
): Promise<{ readonly fitted: FitResult; readonly discardCheckpoint: () => Promise<void> }> {
  const { files, runner, onProgress, onWarning, signal } = run
  const checkpointFolder = checkpointFolderOf(run, config, hyperparameters)
  const fitted = await fitEncoder(
    {
      ...rows,
      config,
      parameters: startingParameters(config, files.weights, rows.train.targets, hyperparameters.seed, head),
      hyperparameters,
      halves: hasHalves(files.weights),
      checkpointFolder,
      checkpointEverySeconds,
      providers: providerCandidates(runner.provider, thisMachine),
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
  return { fitted, discardCheckpoint: () => rm(checkpointFolder, { recursive: true, force: true }) }
}

export function hyperparametersFor(rows: number, changes: HyperparameterChanges): EncoderHyperparameters {
  const chosen = withChanges(defaultEncoderHyperparameters, changes)
  if (changes.epochs !== undefined) return chosen
  return { ...chosen, epochs: defaultEpochs(stepsPerEpoch(rows, chosen.batch)) }
}

/** Where this very training keeps its checkpoint: another seed, other data or options have another one. */
function checkpointFolderOf(
  run: TrainingRun,
  config: ModelConfig,
  hyperparameters: EncoderHyperparameters,
): string {
  const identity = JSON.stringify([
    run.prepared.data.digest,
    run.taughtBy,
    run.encoder.digest,
    run.strategy.name,
    config,
    run.maxTokens,
    run.runner.provider,
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
  config: ModelConfig,
  weights: Uint8Array,
  targets: Matrix,
  seed: number,
  head: ReadonlyMap<string, Float32Array> | undefined,
): Map<string, Float32Array> {
  const base = readSafetensors(weights)
  const needed = [...encoderParameters(config)]
  // Encoders that were trained without a pooler have none to give.
  const hasPooler =
    config.pooling === 'pooler' && [...base.keys()].some((name) => name.includes('pooler.dense'))
  if (hasPooler) needed.push(...poolerParameters(config))
  const start = initialHead(newParameters(config, hasPooler), targets, seed)
  for (const [name, tensor] of resolveWeights(new Map(needed), base, config)) {
    start.set(name, toFloat32(tensor, name))
  }
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
