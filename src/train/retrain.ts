import { join } from 'node:path'
import { monotonicMs, wallClockMs } from '../core/clock.ts'
import { LabelstreamError } from '../core/errors.ts'
import { type Pooling, readModelConfig } from '../encoders/config.ts'
import type { Metrics } from '../evaluation/metrics.ts'
import { promote } from '../models/champion.ts'
import { openEncoder, openModel } from '../models/folder.ts'
import { reportFile } from '../models/manifest.ts'
import { decideAll } from '../models/score-matrix.ts'
import { int8DecisionFile } from '../models/served-precision.ts'
import { TextRunner, type TextRunnerOptions } from '../models/text-runner.ts'
import { transformersCode } from '../models/transformers-code.ts'
import { writeVersion } from '../models/versions.ts'
import { withActivationRanges } from './activation-ranges.ts'
import { type CheckedRows, findInTraining } from './check-labels.ts'
import { targetsOf } from './dataset.ts'
import { type BestOnRows, type DecisionOptions, defaultDecisionOptions } from './decision-fit.ts'
import type { GateResult } from './gate.ts'
import { checkGolden } from '../models/golden.ts'
import { type Int8Outcome, checkInt8 } from './int8-check.ts'
import { type Outcome, judge } from './judge.ts'
import { type LabelNoiseSummary, writeLabelNoise } from './label-noise.ts'
import { readEncoder, trainedConfigJson } from './model-files.ts'
import { type PrepareOptions, type Prepared, prepare } from './prepare.ts'
import { type OnTrainingProgress, checkInterrupted } from './progress.ts'
import { withServedLogits } from './served-logits.ts'
import { type Strategy, type StrategyName, strategyOf } from './strategies.ts'
import { type TeacherOptions, taughtTargets, teachingDetails } from './teachers.ts'
import { trainEncoder } from './train-encoder.ts'
import { trainHead } from './train-head.ts'
import { trainPerLabel } from './train-per-label.ts'
import { type HyperparameterChanges, type Trained, type TrainingRun } from './training-run.ts'
import { versionReport } from './version-report.ts'

export interface RetrainOptions extends PrepareOptions {
  /** Encoder to start from: a name in the models folder, name@version or a folder. */
  readonly base: string
  readonly name: string
  readonly strategy: string
  readonly modelsFolder: string
  readonly cacheFolder: string
  /** Longest window in tokens; 256, or the encoder's own limit where that is lower. */
  readonly maxTokens?: number
  /** What differs from the strategy's own defaults. */
  readonly hyperparameters?: HyperparameterChanges
  /** How token vectors become one; mean by default. Frozen encoders are pooled by mean always. */
  readonly pooling?: Pooling
  readonly decision?: DecisionOptions
  /** Models trained before whose scores the training part's targets are moved towards. */
  readonly teachers?: TeacherOptions
  /** Makes the version champion when the gate lets it through. */
  readonly promote: boolean
  /** Compares int8 with fp32 on the dev part; where that is good enough, `auto` serves the version in int8 on CPUs. */
  readonly checkInt8?: boolean
  /** Looks for wrong labels, and writes them with their texts into this folder, a file a version. */
  readonly labelNoiseFolder?: string
  /** SPDX name; the base encoder's by default. */
  readonly licence?: string
  readonly runner: TextRunnerOptions
  readonly signal?: AbortSignal
}

/** What `retrain --json` prints. */
export interface RetrainResult {
  readonly version: string
  readonly path: string
  readonly digest: string
  readonly strategy: StrategyName
  readonly trainableParameters: number
  readonly steps: number
  readonly seconds: number
  /**
   * Real tokens by the second: of the optimiser steps where the encoder was trained, else of the whole run (0 when
   * every embedding was cached).
   */
  readonly tokensPerSecond: number
  readonly peakMemoryBytes: number
  /** Of the data manifest, without its sources. */
  readonly data: Omit<Prepared['data'], 'sources' | 'fractions'>
  /** On the dev part. */
  readonly metrics: Metrics
  /** On the dev part with the thresholds that are best there: for comparison with figures elsewhere. */
  readonly bestOnDev: BestOnRows
  /** On the test part, when the data gave one. */
  readonly testMetrics?: Metrics
  /** Where it was asked for. */
  readonly int8Check?: Int8Outcome['check']
  /** Where it was asked for. */
  readonly labelNoise?: LabelNoiseSummary
  readonly gate: GateResult
  readonly promoted: boolean
  readonly warnings: readonly string[]
  readonly report: string
}

/**
 * Trains a model and writes it as a new version. The same data, options and seed give the same model bits on one
 * machine. A version that the gate refuses is written too, and stays a candidate.
 * Throws SETTING_INVALID, DATA_INVALID, MODEL_*, TRAINING_FAILED, INTERRUPTED and what inference throws.
 */
export async function retrain(
  given: RetrainOptions,
  onProgress: OnTrainingProgress = () => undefined,
): Promise<RetrainResult> {
  const startedMs = monotonicMs()
  // Thresholds and golden scores are those of fp32, whatever the settings have for serving.
  const options: RetrainOptions = { ...given, runner: { ...given.runner, precision: 'fp32' } }
  const strategy = strategyOf(options.strategy)
  const prepared = prepare(options)
  const encoder = await openEncoder(options.base, options.modelsFolder)
  const files = await readEncoder(encoder)
  if (files.config.separateEncoders) {
    throw new LabelstreamError(
      'MODEL_UNSUPPORTED',
      `${encoder.name} has an encoder for each label; start from an encoder`,
    )
  }
  const { pooling = 'mean' } = options
  if (strategy.trains.startsWith('head') && pooling !== 'mean') {
    throw new LabelstreamError(
      'SETTING_INVALID',
      `strategy ${strategy.name} pools by mean; ${pooling} needs full-linear, full-dense or per-label`,
    )
  }
  const configJson = trainedConfigJson(files.configJson, {
    labels: prepared.split.train.labels,
    headHiddenSizes: strategy.headHiddenSizes,
    pooling,
    separateEncoders: strategy.trains === 'one-model-per-label',
  })
  const teaching = { ...options, dataDigest: prepared.data.digest, onProgress }
  const taught = options.teachers && (await taughtTargets(prepared.split.train, options.teachers, teaching))
  const warnings = [...prepared.warnings, ...(taught?.warnings ?? [])]
  const run: TrainingRun = {
    strategy,
    changes: options.hyperparameters ?? {},
    prepared,
    trainTargets: taught?.targets ?? targetsOf(prepared.split.train),
    ...(taught === undefined ? {} : { taughtBy: taught.by }),
    encoder,
    files,
    config: readModelConfig(configJson),
    maxTokens: Math.min(options.maxTokens ?? 256, files.config.maxPositions),
    cacheFolder: options.cacheFolder,
    runner: options.runner,
    onProgress,
    onWarning: (message) => warnings.push(message),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  }
  const fitted = await trainersOf[strategy.trains](run)
  checkInterrupted(options.signal)
  onProgress({ phase: 'compare', done: 0, total: 1 })
  const modelFiles = await withActivationRanges(
    { files: await versionFiles(run, configJson, fitted), maxTokens: run.maxTokens },
    run.config,
    prepared.split.train,
    run.runner,
  )
  const trained = await withServedLogits(fitted, modelFiles, run)
  const outcome = await judge(options, prepared, trained)
  checkInterrupted(options.signal)

  const seconds = (monotonicMs() - startedMs) / 1000
  const noise = options.labelNoiseFolder === undefined ? undefined : await findInTraining(run, trained.seed)
  onProgress({ phase: 'write', done: 0, total: 1 })
  const int8 =
    options.checkInt8 === true
      ? await checkInt8(
          {
            files: modelFiles,
            maxTokens: run.maxTokens,
            dev: prepared.split.dev,
            devLogits: trained.devLogits,
            decision: outcome.decision,
            golden: outcome.golden,
          },
          options.runner,
          options.decision ?? defaultDecisionOptions,
        )
      : undefined
  const writing = { options, run, files: modelFiles, int8, noise, warnings, seconds }
  const written = await write(writing, trained, outcome)
  const labelNoise =
    noise === undefined || options.labelNoiseFolder === undefined
      ? undefined
      : await writeLabelNoise(
          join(options.labelNoiseFolder, `${options.name}-${written.version}.jsonl`),
          noise.dataset,
          noise.report,
        )
  await checkServed(written.path, options)
  await trained.discardCheckpoint()
  const promoted = options.promote && outcome.gate.passed
  if (promoted) await promote(options.modelsFolder, options.name, written.version)
  onProgress({ phase: 'write', done: 1, total: 1 })
  return {
    ...written,
    strategy: strategy.name,
    trainableParameters: trained.trainableParameters,
    steps: trained.steps,
    seconds,
    tokensPerSecond: trained.tokens / (trained.stepSeconds ?? seconds),
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024 + trained.peakMemoryBytes,
    data: countsOf(prepared.data),
    metrics: outcome.dev,
    bestOnDev: outcome.bestOnDev,
    ...(outcome.test === undefined ? {} : { testMetrics: outcome.test }),
    ...(int8 === undefined ? {} : { int8Check: int8.check }),
    ...(labelNoise === undefined ? {} : { labelNoise }),
    gate: outcome.gate,
    promoted,
    warnings,
    report: join(written.path, reportFile),
  }
}

const countsOf = ({ source, digest, rows, train, dev, test }: Prepared['data']): RetrainResult['data'] => ({
  source,
  digest,
  rows,
  train,
  dev,
  test,
})

const trainersOf: { readonly [Kind in Strategy['trains']]: (run: TrainingRun) => Promise<Trained> } = {
  head: trainHead,
  all: trainEncoder,
  'head-then-all': trainEncoder,
  'one-model-per-label': trainPerLabel,
}

interface Writing {
  readonly options: RetrainOptions
  readonly run: TrainingRun
  readonly files: ReadonlyMap<string, Uint8Array | string>
  readonly int8: Int8Outcome | undefined
  readonly noise: CheckedRows | undefined
  readonly warnings: readonly string[]
  readonly seconds: number
}

async function write(
  { options, run, files, int8, noise, warnings, seconds }: Writing,
  trained: Trained,
  { decision, devScores, dev, test, golden, gate }: Outcome,
): Promise<{ version: string; path: string; digest: string }> {
  const { prepared, encoder, strategy, maxTokens } = run
  const metrics = { dev, ...(test === undefined ? {} : { test }) }
  const report = await versionReport({
    name: options.name,
    run,
    trained,
    decision,
    devScores,
    metrics,
    gate,
    warnings,
    seconds,
    ...(noise === undefined ? {} : { labelNoise: noise.report }),
  })
  return writeVersion(options.modelsFolder, {
    details: {
      name: options.name,
      licence: options.licence ?? encoder.licence,
      maxTokens,
      base: { name: encoder.name, digest: encoder.digest },
      strategy: strategy.name,
      seed: trained.seed,
      hyperparameters: {
        ...trained.hyperparameters,
        bestEpoch: trained.bestEpoch,
        ...(run.taughtBy && teachingDetails(run.taughtBy)),
      },
      data: prepared.data,
      metrics,
      golden,
      ...(int8 === undefined ? {} : { int8Check: int8.check }),
    },
    decision,
    files: new Map<string, Uint8Array | string>([
      ...files,
      ...(int8 === undefined
        ? []
        : [[int8DecisionFile, `${JSON.stringify(int8.decision, undefined, 2)}\n`] as const]),
      [reportFile, report],
    ]),
    created: new Date(wallClockMs()),
  })
}

/** What makes the version: all but decisions, report, card and manifest. */
async function versionFiles(
  { files }: TrainingRun,
  configJson: Readonly<Record<string, unknown>>,
  { weights }: Trained,
): Promise<ReadonlyMap<string, Uint8Array | string>> {
  return new Map<string, Uint8Array | string>([
    ...files.tokenizerFiles,
    ['config.json', `${JSON.stringify(configJson, undefined, 2)}\n`],
    ['model.safetensors', weights],
    ...(Object.hasOwn(configJson, 'auto_map') ? [await transformersCode()] : []),
  ])
}

/** Opens what was written as `run` would, and compares its scores with those of training. */
async function checkServed(path: string, options: RetrainOptions): Promise<void> {
  const model = await openModel(path, options.modelsFolder)
  const runner = await TextRunner.start(model, 'logits', options.runner)
  const texts = model.manifest.golden.map(({ text }) => text)
  const logits = await runner.run(texts).finally(() => runner.close())
  checkGolden(path, model.manifest.golden, model.labels, decideAll(model.decision, logits.values).scores)
}
