import { mkdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { monotonicMs } from '../core/clock.ts'
import { makeOwnedFolder } from '../core/owned-folder.ts'
import type { Matrix } from '../evaluation/matrix.ts'
import { openEncoder, openModel } from '../models/folder.ts'
import { decideAll } from '../models/score-matrix.ts'
import { TextRunner, type TextRunnerOptions } from '../models/text-runner.ts'
import { type Dataset, targetsOf } from './dataset.ts'
import { type Contender, compareWithChampion } from './gate.ts'
import { prepare } from './prepare.ts'
import type { OnTrainingProgress } from './progress.ts'
import { type Choice, recommend } from './recommend.ts'
import { type RetrainOptions, type RetrainResult, retrain } from './retrain.ts'
import { type StrategyName, strategyOf } from './strategies.ts'
import type { HyperparameterChanges } from './training-run.ts'

export interface CompareOptions extends Omit<RetrainOptions, 'strategy' | 'name' | 'promote'> {
  readonly strategies: readonly string[]
}

/** One strategy's row of `compare --json`. */
export interface CompareRow {
  readonly strategy: StrategyName
  readonly macroF1: number
  readonly microF1: number
  readonly trainSeconds: number
  readonly trainableParameters: number
  readonly peakMemoryBytes: number
  readonly scoreTextsPerSecond: number
  /** Of the file of weights. */
  readonly modelBytes: number
}

export interface Comparison {
  /** The part of the data that quality was measured on: held out where the data gave a test part. */
  readonly measuredOn: 'test' | 'dev'
  readonly measuredRows: number
  readonly rows: readonly CompareRow[]
  readonly recommended: StrategyName
  readonly why: string
  readonly warnings: readonly string[]
}

/**
 * Trains each strategy on the same rows with the same seed, each paying for its own encoding, and measures
 * quality, cost and scoring speed; changed hyper-parameters are those of encoders. Nothing is kept: `retrain` makes the version that is wanted.
 * Throws as `retrain`.
 */
export async function compare(
  options: CompareOptions,
  onProgress: (strategy: StrategyName, ...progress: Parameters<OnTrainingProgress>) => void = () => undefined,
): Promise<Comparison> {
  const strategies = [...new Set(options.strategies)].map((name) => strategyOf(name).name)
  const { folder } = await openEncoder(options.base, options.modelsFolder)
  const { split } = prepare(options)
  const measuredOn = split.test.rows.length > 0 ? 'test' : 'dev'
  const part = split[measuredOn]
  await mkdir(options.cacheFolder, { recursive: true })
  const scratch = await makeOwnedFolder(options.cacheFolder, 'compare-')
  const measured: Measured[] = []
  const warnings = new Set<string>()
  try {
    for (const strategy of headsFirst(strategies)) {
      const result = await retrain(
        {
          ...options,
          hyperparameters: changesFor(strategy, options.hyperparameters ?? {}),
          base: resolve(folder),
          strategy,
          name: strategy,
          modelsFolder: join(scratch, 'models'),
          // Embeddings that another strategy has cached would make this one look cheap.
          cacheFolder: join(scratch, strategy),
          promote: false,
        },
        (progress) => {
          onProgress(strategy, progress)
        },
      )
      for (const warning of result.warnings) warnings.add(warning)
      measured.push(await measure(strategy, result, part, options.runner))
      await rm(join(scratch, strategy), { recursive: true, force: true })
    }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  const targets = targetsOf(part)
  const choices = measured.map(({ row }): Choice => ({ ...row, name: row.strategy }))
  const { name, why } = recommend(choices, (better, other) => {
    const seed = options.hyperparameters?.seed ?? 1
    return !compareWithChampion(contenderOf(measured, other), contenderOf(measured, better), targets, seed)
      .passed
  })
  return {
    measuredOn,
    measuredRows: part.rows.length,
    rows: strategies.flatMap((name) =>
      measured.filter(({ row }) => row.strategy === name).map(({ row }) => row),
    ),
    recommended: strategyOf(name).name,
    why,
    warnings: [...warnings],
  }
}

/** This process's peak of memory only grows: the strategies that need little of it go first. */
const headsFirst = (strategies: readonly StrategyName[]): StrategyName[] =>
  [true, false].flatMap((isHead) =>
    strategies.filter((name) => (strategyOf(name).trains === 'head') === isHead),
  )

/** Rates and epochs asked for are those of encoders: a head on a frozen one has its own. */
function changesFor(strategy: StrategyName, changes: HyperparameterChanges): HyperparameterChanges {
  if (strategyOf(strategy).trains !== 'head') return changes
  return changes.seed === undefined ? {} : { seed: changes.seed }
}

const speedTexts = 500
const speedMs = 3_000

/** Texts per second in the best of the passes of three seconds, once warm: other work on the machine only ever takes away. */
async function scoringSpeed(runner: TextRunner, texts: readonly string[]): Promise<number> {
  const untilMs = monotonicMs() + speedMs
  let bestMs = Infinity
  do {
    const startedMs = monotonicMs()
    await runner.run(texts)
    bestMs = Math.min(bestMs, monotonicMs() - startedMs)
  } while (monotonicMs() < untilMs)
  return (1_000 * texts.length) / bestMs
}

interface Measured {
  readonly row: CompareRow
  readonly contender: Contender
}

async function measure(
  strategy: StrategyName,
  { path, seconds, trainableParameters, peakMemoryBytes, metrics, testMetrics }: RetrainResult,
  part: Dataset,
  options: TextRunnerOptions,
): Promise<Measured> {
  const model = await openModel(path, path)
  const runner = await TextRunner.start(model, 'logits', options)
  const texts = part.rows.map(({ text }) => text)
  let logits: Matrix
  let scoreTextsPerSecond: number
  try {
    logits = (await runner.run(texts)).values
    scoreTextsPerSecond = await scoringSpeed(runner, texts.slice(0, speedTexts))
  } finally {
    await runner.close()
  }
  const { macroF1, microF1 } = testMetrics ?? metrics
  return {
    row: {
      strategy,
      macroF1,
      microF1,
      trainSeconds: seconds,
      trainableParameters,
      peakMemoryBytes,
      scoreTextsPerSecond,
      modelBytes: model.manifest.files['model.safetensors']?.sizeBytes ?? 0,
    },
    contender: {
      scores: decideAll(model.decision, logits).scores,
      thresholds: model.decision.labels.map(({ threshold }) => threshold),
    },
  }
}

function contenderOf(measured: readonly Measured[], name: string): Contender {
  const found = measured.find(({ row }) => row.strategy === name)
  if (found === undefined) throw new RangeError(`${name} was not measured`)
  return found.contender
}
