import { monotonicMs, wallClockMs } from '../core/clock.ts'
import { type ModelConfig, readModelConfig } from '../encoders/config.ts'
import { headParameters } from '../encoders/weights.ts'
import type { Matrix } from '../evaluation/matrix.ts'
import { type Metrics, evaluateScores } from '../evaluation/metrics.ts'
import { promote } from '../models/champion.ts'
import type { Decision } from '../models/decision.ts'
import { type EncoderFolder, openEncoder, openModel } from '../models/folder.ts'
import { decideAll } from '../models/score-matrix.ts'
import { TextRunner, type TextRunnerOptions } from '../models/text-runner.ts'
import { writeVersion } from '../models/versions.ts'
import { passGate } from './champion-gate.ts'
import { type Dataset, positivesOf, targetsOf } from './dataset.ts'
import { type DecisionOptions, defaultDecisionOptions, fitDecision } from './decision-fit.ts'
import { type Embedded, embedTexts } from './embed.ts'
import { type FittedHead, type HeadHyperparameters, fitHead } from './fit-head.ts'
import type { GateResult } from './gate.ts'
import { checkGolden, goldenOf, goldenTexts } from './golden.ts'
import { defaultHyperparameters } from './hyperparameters.ts'
import {
  type EncoderFiles,
  readEncoder,
  trainedConfigJson,
  transformersCode,
  weightsWithHead,
} from './model-files.ts'
import { type PrepareOptions, type Prepared, prepare } from './prepare.ts'
import { type OnTrainingProgress, checkInterrupted } from './progress.ts'
import { renderReport } from './report.ts'
import { type StrategyName, strategyOf } from './strategies.ts'

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
  readonly hyperparameters?: Partial<HeadHyperparameters>
  readonly decision?: DecisionOptions
  /** Makes the version champion when the gate lets it through. */
  readonly promote: boolean
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
  /** Real tokens through the encoder by the second of the whole run; 0 when every embedding was cached. */
  readonly tokensPerSecond: number
  readonly peakMemoryBytes: number
  /** On the dev part. */
  readonly metrics: Metrics
  /** On the test part, when the data gave one. */
  readonly testMetrics?: Metrics
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
  options: RetrainOptions,
  onProgress: OnTrainingProgress = () => undefined,
): Promise<RetrainResult> {
  const startedMs = monotonicMs()
  const strategy = strategyOf(options.strategy)
  const hyperparameters = { ...defaultHyperparameters(strategy.name), ...options.hyperparameters }
  const prepared = prepare(options)
  const encoder = await openEncoder(options.base, options.modelsFolder)
  const files = await readEncoder(encoder)
  const labels = prepared.split.train.labels
  const configJson = trainedConfigJson(files.configJson, {
    labels,
    headHiddenSizes: strategy.headHiddenSizes,
  })
  const run: Run = {
    options,
    hyperparameters,
    prepared,
    encoder,
    files,
    configJson,
    config: readModelConfig(configJson),
    maxTokens: Math.min(options.maxTokens ?? 256, files.config.maxPositions),
    onProgress,
  }
  const embedded = await embedAll(run)
  checkInterrupted(options.signal)
  const head = await fit(run, embedded)
  let outcome: Outcome
  try {
    outcome = await judge(run, embedded, head)
  } finally {
    await head.close()
  }
  checkInterrupted(options.signal)

  onProgress({ phase: 'write', done: 0, total: 1 })
  const seconds = (monotonicMs() - startedMs) / 1000
  const written = await write(run, head, outcome, seconds)
  await checkServed(written.path, options)
  const promoted = options.promote && outcome.gate.passed
  if (promoted) await promote(options.modelsFolder, options.name, written.version)
  onProgress({ phase: 'write', done: 1, total: 1 })
  return {
    ...written,
    strategy: strategy.name,
    trainableParameters: parameterCount(run.config),
    steps: head.steps,
    seconds,
    tokensPerSecond: embedded.tokens / seconds,
    peakMemoryBytes:
      process.resourceUsage().maxRSS * 1024 + Math.max(embedded.peakMemoryBytes, head.peakMemoryBytes),
    metrics: outcome.dev,
    ...(outcome.test === undefined ? {} : { testMetrics: outcome.test }),
    gate: outcome.gate,
    promoted,
    warnings: prepared.warnings,
    report: `${written.path}/report.html`,
  }
}

interface Run {
  readonly options: RetrainOptions
  readonly hyperparameters: HeadHyperparameters
  readonly prepared: Prepared
  readonly encoder: EncoderFolder
  readonly files: EncoderFiles
  readonly configJson: Readonly<Record<string, unknown>>
  readonly config: ModelConfig
  readonly maxTokens: number
  readonly onProgress: OnTrainingProgress
}

const parts = ['train', 'dev', 'test'] as const
type Part = (typeof parts)[number] | 'golden'

/** Embeddings of every part, encoded in one go so that batches are full. */
type EmbeddedParts = Omit<Embedded, 'embeddings'> & { readonly of: (part: Part) => Matrix }

async function embedAll({
  options,
  prepared,
  encoder,
  files,
  maxTokens,
  onProgress,
}: Run): Promise<EmbeddedParts> {
  const texts: Record<Part, readonly string[]> = {
    train: textsOf(prepared.split.train),
    dev: textsOf(prepared.split.dev),
    test: textsOf(prepared.split.test),
    golden: goldenTexts,
  }
  const order: readonly Part[] = [...parts, 'golden']
  const source = { ...encoder, hiddenSize: files.config.hiddenSize, maxTokens }
  const { embeddings, tokens, peakMemoryBytes } = await embedTexts(
    source,
    order.flatMap((part) => texts[part]),
    {
      cacheFolder: options.cacheFolder,
      runner: options.runner,
      onProgress: (done, total) => {
        onProgress({ phase: 'encode', done, total })
      },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    },
  )
  const of = (part: Part): Matrix => {
    const before = order.slice(0, order.indexOf(part)).reduce((sum, other) => sum + texts[other].length, 0)
    const rows = texts[part].length
    const { columns, values } = embeddings
    return { rows, columns, values: values.subarray(before * columns, (before + rows) * columns) }
  }
  return { of, tokens, peakMemoryBytes }
}

const textsOf = ({ rows }: Dataset): readonly string[] => rows.map(({ text }) => text)

function fit(
  { options, config, prepared, hyperparameters, onProgress }: Run,
  embedded: EmbeddedParts,
): Promise<FittedHead> {
  const rowsOf = (part: 'train' | 'dev') => ({
    embeddings: embedded.of(part),
    targets: targetsOf(prepared.split[part]),
  })
  return fitHead(config, rowsOf('train'), rowsOf('dev'), hyperparameters, {
    onEpoch: ({ epoch, trainLoss, devLoss }, epochs) => {
      const detail = `loss ${trainLoss.toFixed(4)}, dev ${devLoss.toFixed(4)}`
      onProgress({ phase: 'train', done: epoch, total: epochs, detail })
    },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
}

interface Outcome {
  readonly decision: Decision
  readonly dev: Metrics
  readonly test: Metrics | undefined
  readonly golden: ReturnType<typeof goldenOf>
  readonly gate: GateResult
}

/** Calibrates, chooses thresholds, measures, and compares with the champion. */
async function judge(run: Run, embedded: EmbeddedParts, head: FittedHead): Promise<Outcome> {
  const { options, prepared, hyperparameters, onProgress } = run
  const { dev, test } = prepared.split
  const decision = fitDecision(
    dev.labels,
    head.devLogits,
    targetsOf(dev),
    options.decision ?? defaultDecisionOptions,
  )
  const thresholds = decision.labels.map(({ threshold }) => threshold)
  const devScores = decideAll(decision, head.devLogits).scores
  const measure = (scores: Matrix, rows: Dataset): Metrics =>
    evaluateScores(scores, targetsOf(rows), rows.labels, thresholds)
  const testLogits = test.rows.length === 0 ? undefined : await head.logitsOf(embedded.of('test'))
  const goldenLogits = await head.logitsOf(embedded.of('golden'))
  onProgress({ phase: 'compare', done: 0, total: 1 })
  const gate = await passGate(options, { scores: devScores, thresholds }, dev, hyperparameters.seed)
  return {
    decision,
    dev: measure(devScores, dev),
    test: testLogits === undefined ? undefined : measure(decideAll(decision, testLogits).scores, test),
    golden: goldenOf(dev.labels, goldenTexts, decideAll(decision, goldenLogits).scores),
    gate,
  }
}

async function write(
  { options, hyperparameters, prepared, encoder, files, configJson, config, maxTokens }: Run,
  head: FittedHead,
  { decision, dev, test, golden, gate }: Outcome,
  seconds: number,
): Promise<{ version: string; path: string; digest: string }> {
  const { seed, ...numbers } = hyperparameters
  const metrics = { dev, ...(test === undefined ? {} : { test }) }
  const { train } = prepared.split
  const report = renderReport({
    title: `${options.name}: ${options.strategy} on ${encoder.name}`,
    facts: [
      ['data', prepared.data.source],
      ['rows', prepared.data.rows],
      ['trained parameters', parameterCount(config)],
      ['steps', head.steps],
      ['seconds', seconds.toFixed(1)],
    ],
    warnings: prepared.warnings,
    parts: parts.map((part) => {
      const rows = prepared.split[part]
      return { part, rows: rows.rows.length, positives: positivesOf(rows) }
    }),
    labels: train.labels,
    metrics,
    history: head.history,
    bestEpoch: head.bestEpoch,
    gate,
  })
  return writeVersion(options.modelsFolder, {
    details: {
      name: options.name,
      licence: options.licence ?? encoder.licence,
      maxTokens,
      base: { name: encoder.name, digest: encoder.digest },
      strategy: options.strategy,
      seed,
      hyperparameters: { ...numbers, bestEpoch: head.bestEpoch },
      data: prepared.data,
      metrics,
      golden,
    },
    decision,
    files: new Map<string, Uint8Array | string>([
      ...files.tokenizerFiles,
      ['config.json', `${JSON.stringify(configJson, undefined, 2)}\n`],
      ['model.safetensors', weightsWithHead(files.weights, config, head.parameters)],
      await transformersCode(),
      ['report.html', report],
    ]),
    created: new Date(wallClockMs()),
  })
}

/** Opens what was written as `run` would, and compares its scores with those of training. */
async function checkServed(path: string, options: RetrainOptions): Promise<void> {
  const model = await openModel(path, options.modelsFolder)
  const runner = await TextRunner.start(model, 'logits', { ...options.runner, maxWindows: 1 })
  const texts = model.manifest.golden.map(({ text }) => text)
  const logits = await runner.run(texts).finally(() => runner.close())
  checkGolden(path, model.manifest.golden, model.labels, decideAll(model.decision, logits.values).scores)
}

function parameterCount(config: ModelConfig): number {
  const shapes = [...headParameters(config).values()]
  return shapes.reduce((sum, shape) => sum + shape.reduce((product, size) => product * size, 1), 0)
}
