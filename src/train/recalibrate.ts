import { wallClockMs } from '../core/clock.ts'
import { LabelstreamError } from '../core/errors.ts'
import { activationRangesFile } from '../encoders/activation-ranges.ts'
import { readModelConfig } from '../encoders/config.ts'
import { type Matrix, rowsOf } from '../evaluation/matrix.ts'
import { type Metrics, evaluateScores } from '../evaluation/metrics.ts'
import { promote } from '../models/champion.ts'
import type { Decision } from '../models/decision.ts'
import type { Model } from '../models/folder.ts'
import { type GoldenScores, goldenOf } from '../models/golden.ts'
import { cardFile, reportFile } from '../models/manifest.ts'
import { decideAll } from '../models/score-matrix.ts'
import { int8DecisionFile } from '../models/served-precision.ts'
import type { TextRunnerOptions } from '../models/text-runner.ts'
import { readVerified } from '../models/verify.ts'
import { type WrittenVersion, writeVersion } from '../models/versions.ts'
import { hasStoredGraph } from '../runtime/model-config.ts'
import { withActivationRanges } from './activation-ranges.ts'
import { passGate } from './champion-gate.ts'
import {
  type Dataset,
  type LabeledTexts,
  datasetDigest,
  datasetOf,
  latestById,
  targetsOf,
} from './dataset.ts'
import { type DecisionOptions, defaultDecisionOptions, fitDecision } from './decision-fit.ts'
import type { GateResult } from './gate.ts'
import { contenderOf, heldOutDecisions, heldOutMetrics } from './held-out-decisions.ts'
import { type Int8Outcome, checkInt8 } from './int8-check.ts'
import { modelLogits } from './model-scores.ts'
import { foldsOf } from './out-of-fold.ts'
import { type OnTrainingProgress, checkInterrupted } from './progress.ts'

export interface RecalibrateOptions {
  readonly model: Model
  /** Rows that the model was not trained on, with labels that it has. */
  readonly data: LabeledTexts
  readonly modelsFolder: string
  readonly decision?: DecisionOptions
  /** Compares int8 with fp32 on the rows; without it where the model was compared before. */
  readonly checkInt8?: boolean | undefined
  /** Makes the version champion when the gate lets it through. */
  readonly promote: boolean
  readonly runner: TextRunnerOptions
  readonly signal?: AbortSignal
}

/** What `models calibrate --json` prints. */
export interface Recalibrated extends WrittenVersion {
  /** The version whose weights it has. */
  readonly from: string
  /** Each row decided by calibrators and thresholds that were fitted on the other folds. */
  readonly metrics: Metrics
  /** With the calibrators and thresholds that the model had. */
  readonly before: Metrics
  readonly int8Check?: Int8Outcome['check']
  readonly gate: GateResult
  readonly promoted: boolean
}

const folds = 5
const seed = 1

/**
 * Fits a model's calibrators and thresholds anew and writes the same weights with them as a new version: for a model from
 * elsewhere, which has none, and for labels that have become rarer or more frequent since training. A version that the
 * gate refuses is written too, and stays a candidate.
 * Throws DATA_INVALID for rows that name other labels or are too few, SETTING_INVALID for int8 of a graph that is served
 * as it is, MODEL_CORRUPT, INTERRUPTED and what inference throws.
 */
export async function recalibrate(
  given: RecalibrateOptions,
  onProgress: OnTrainingProgress = () => undefined,
): Promise<Recalibrated> {
  const { model, data, modelsFolder, runner, signal } = given
  const options = given.decision ?? defaultDecisionOptions
  refuseInt8OfGraph(given)
  const rows = datasetOf({ source: data.source, texts: latestById(data.texts) }, [...model.labels])
  const foldOfRow = foldsOf(rows.rows, folds, seed)
  if (new Set(foldOfRow).size < 2) {
    throw new LabelstreamError(
      'DATA_INVALID',
      `${data.source} has ${rows.rows.length} rows, all alike: too few`,
    )
  }
  const { logits, goldenLogits } = await scored(given, rows, onProgress)
  onProgress({ phase: 'compare', done: 0, total: 1 })
  const targets = targetsOf(rows)
  const { labels } = rows
  const decision = fitDecision(labels, logits, targets, options)
  const heldOut = heldOutDecisions({ labels, logits, targets, folds: foldOfRow }, options)
  const metrics = heldOutMetrics(heldOut, targets, labels, thresholdsOf(decision))
  const scoresBefore = decideAll(model.decision, logits).scores
  const before = evaluateScores(scoresBefore, targets, labels, thresholdsOf(model.decision))
  const gate = await passGate(
    {
      name: model.name,
      modelsFolder,
      runner,
      signal,
      scored: { digest: model.digest, scores: scoresBefore },
    },
    contenderOf(heldOut),
    rows,
    seed,
  )
  const fitted = {
    decision,
    metrics,
    golden: goldenOf(labels, goldenTextsOf(model), decideAll(decision, goldenLogits).scores),
  }
  const wantsInt8 = given.checkInt8 ?? model.int8Decision !== undefined
  const kept = await keptFiles(model)
  const files = wantsInt8 ? await withRanges(model, kept, rows, runner) : kept
  const subject = { ...fitted, files, maxTokens: model.maxTokens, dev: rows, devLogits: logits }
  const int8 = wantsInt8 ? await checkInt8(subject, runner, options) : undefined
  checkInterrupted(signal)
  onProgress({ phase: 'write', done: 0, total: 1 })
  const written = await write(given, rows, { ...fitted, files, int8 })
  const promoted = given.promote && gate.passed
  if (promoted) await promote(modelsFolder, model.name, written.version)
  onProgress({ phase: 'write', done: 1, total: 1 })
  const int8Check = int8 === undefined ? {} : { int8Check: int8.check }
  return { ...written, from: model.version, metrics, before, ...int8Check, gate, promoted }
}

function refuseInt8OfGraph({ model, checkInt8: isAsked }: RecalibrateOptions): void {
  const isGraph = hasStoredGraph({ folder: model.folder, expectedDigests: model.fileDigests })
  if (!isGraph || isAsked !== true) return
  throw new LabelstreamError(
    'SETTING_INVALID',
    `${model.name}@${model.version} has a graph that is served as it is: there is no int8 to check`,
  )
}

const goldenTextsOf = ({ manifest }: Model): string[] => manifest.golden.map(({ text }) => text)

/** Logits [rows, labels] and [golden texts, labels]. */
async function scored(
  { model, runner, signal }: RecalibrateOptions,
  { rows }: Dataset,
  onProgress: OnTrainingProgress,
): Promise<{ readonly logits: Matrix; readonly goldenLogits: Matrix }> {
  const texts = [...rows.map(({ text }) => text), ...goldenTextsOf(model)]
  const all = await modelLogits(model, texts, runner, {
    onProgress: (done, total) => {
      onProgress({ phase: 'encode', done, total })
    },
    signal,
  })
  const places = [...texts.keys()]
  return {
    logits: rowsOf(all, places.slice(0, rows.length)),
    goldenLogits: rowsOf(all, places.slice(rows.length)),
  }
}

interface Written {
  readonly decision: Decision
  readonly metrics: Metrics
  readonly golden: GoldenScores
  readonly files: ReadonlyMap<string, Uint8Array | string>
  readonly int8: Int8Outcome | undefined
}

/** What the manifest says of the training stays; what it says of decisions is new. */
function write(
  { model, data, modelsFolder }: RecalibrateOptions,
  rows: Dataset,
  { decision, metrics, golden, files, int8 }: Written,
): Promise<WrittenVersion> {
  const manifest = { ...model.manifest }
  delete manifest.int8Check
  const { version } = model
  const digest = datasetDigest(rows)
  return writeVersion(modelsFolder, {
    details: {
      ...manifest,
      calibratedOn: { version, source: data.source, digest, rows: rows.rows.length },
      metrics: { calibration: metrics },
      golden,
      ...(int8 === undefined ? {} : { int8Check: int8.check }),
    },
    decision,
    files: new Map([
      ...files,
      ...(int8 === undefined
        ? []
        : [[int8DecisionFile, `${JSON.stringify(int8.decision, undefined, 2)}\n`] as const]),
    ]),
    created: new Date(wallClockMs()),
  })
}

const thresholdsOf = ({ labels }: Decision): number[] => labels.map(({ threshold }) => threshold)

/** What the new version has of the old one: all but decisions, card and report, each compared with its digest. */
async function keptFiles(model: Model): Promise<Map<string, Uint8Array | string>> {
  const replaced = ['decision.json', int8DecisionFile, cardFile, reportFile]
  const files = new Map<string, Uint8Array | string>()
  for (const [file, digest] of Object.entries(model.fileDigests)) {
    if (replaced.includes(file)) continue
    files.set(file, await readVerified(model.folder, file, digest))
  }
  return files
}

/** A model from elsewhere has no ranges yet. */
async function withRanges(
  { maxTokens }: Model,
  files: Map<string, Uint8Array | string>,
  rows: Dataset,
  runner: TextRunnerOptions,
): Promise<ReadonlyMap<string, Uint8Array | string>> {
  if (files.has(activationRangesFile)) return files
  const config = readModelConfig(JSON.parse(textOf(files.get('config.json'))))
  return withActivationRanges({ files, maxTokens }, config, rows, runner)
}

const textOf = (content: Uint8Array | string | undefined): string =>
  typeof content === 'string' ? content : new TextDecoder().decode(content)
