import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { wallClockMs } from '../core/clock.ts'
import { sha256 } from '../core/digest.ts'
import { LabelstreamError } from '../core/errors.ts'
import { activationRangesFile } from '../encoders/activation-ranges.ts'
import { readModelConfig } from '../encoders/config.ts'
import { rowsOf } from '../evaluation/matrix.ts'
import { type Metrics, evaluateScores } from '../evaluation/metrics.ts'
import { promote } from '../models/champion.ts'
import type { Decision } from '../models/decision.ts'
import type { Model } from '../models/folder.ts'
import { goldenOf } from '../models/golden.ts'
import { cardFile, reportFile } from '../models/manifest.ts'
import { decideAll } from '../models/score-matrix.ts'
import { int8DecisionFile } from '../models/served-precision.ts'
import type { TextRunnerOptions } from '../models/text-runner.ts'
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
  {
    model,
    data,
    modelsFolder,
    decision: options = defaultDecisionOptions,
    signal,
    ...rest
  }: RecalibrateOptions,
  onProgress: OnTrainingProgress = () => undefined,
): Promise<Recalibrated> {
  const isGraph = hasStoredGraph({ folder: model.folder, expectedDigests: model.fileDigests })
  if (isGraph && rest.checkInt8 === true) {
    throw new LabelstreamError(
      'SETTING_INVALID',
      `${model.name}@${model.version} has a graph that is served as it is: there is no int8 to check`,
    )
  }
  const rows = datasetOf({ source: data.source, texts: latestById(data.texts) }, [...model.labels])
  const foldOfRow = foldsOf(rows.rows, folds, seed)
  if (new Set(foldOfRow).size < 2) {
    throw new LabelstreamError(
      'DATA_INVALID',
      `${data.source} has ${rows.rows.length} rows, all alike: too few`,
    )
  }
  const goldenTexts = model.manifest.golden.map(({ text }) => text)
  const texts = [...rows.rows.map(({ text }) => text), ...goldenTexts]
  const all = await modelLogits(model, texts, rest.runner, {
    onProgress: (done, total) => {
      onProgress({ phase: 'encode', done, total })
    },
    signal,
  })
  onProgress({ phase: 'compare', done: 0, total: 1 })
  const logits = rowsOf(all, [...rows.rows.keys()])
  const goldenLogits = rowsOf(
    all,
    Array.from(goldenTexts, (_text, place) => rows.rows.length + place),
  )
  const targets = targetsOf(rows)
  const { labels } = rows
  const decision = fitDecision(labels, logits, targets, options)
  const heldOut = heldOutDecisions({ labels, logits, targets, folds: foldOfRow }, options)
  const metrics = heldOutMetrics(heldOut, targets, labels, thresholdsOf(decision))
  const before = evaluateScores(
    decideAll(model.decision, logits).scores,
    targets,
    labels,
    thresholdsOf(model.decision),
  )
  const gated = { name: model.name, modelsFolder, runner: rest.runner, signal }
  const gate = await passGate(gated, contenderOf(heldOut), rows, seed)
  const golden = goldenOf(labels, goldenTexts, decideAll(decision, goldenLogits).scores)
  const kept = await keptFiles(model)
  const wantsInt8 = rest.checkInt8 ?? model.int8Decision !== undefined
  const files = wantsInt8 ? await withRanges(model, kept, rows, rest.runner) : kept
  const int8 = wantsInt8
    ? await checkInt8(
        { files, maxTokens: model.maxTokens, dev: rows, devLogits: logits, decision, golden },
        rest.runner,
        options,
      )
    : undefined
  checkInterrupted(signal)
  onProgress({ phase: 'write', done: 0, total: 1 })
  const manifest = { ...model.manifest }
  delete manifest.int8Check
  const written = await writeVersion(modelsFolder, {
    details: {
      ...manifest,
      calibratedOn: {
        version: model.version,
        source: data.source,
        digest: datasetDigest(rows),
        rows: rows.rows.length,
      },
      metrics: { calibration: metrics },
      golden,
      ...(int8 === undefined ? {} : { int8Check: int8.check }),
    },
    decision,
    files:
      int8 === undefined
        ? files
        : new Map([...files, [int8DecisionFile, `${JSON.stringify(int8.decision, undefined, 2)}\n`]]),
    created: new Date(wallClockMs()),
  })
  const promoted = rest.promote && gate.passed
  if (promoted) await promote(modelsFolder, model.name, written.version)
  onProgress({ phase: 'write', done: 1, total: 1 })
  return {
    ...written,
    from: model.version,
    metrics,
    before,
    ...(int8 === undefined ? {} : { int8Check: int8.check }),
    gate,
    promoted,
  }
}

const thresholdsOf = ({ labels }: Decision): number[] => labels.map(({ threshold }) => threshold)

/** What the new version has of the old one: all but decisions, card and report, each compared with its digest. */
async function keptFiles(model: Model): Promise<Map<string, Uint8Array | string>> {
  const replaced = ['decision.json', int8DecisionFile, cardFile, reportFile]
  const files = new Map<string, Uint8Array | string>()
  for (const [file, digest] of Object.entries(model.fileDigests)) {
    if (replaced.includes(file)) continue
    const bytes = await readFile(join(model.folder, file))
    if (sha256(bytes) !== digest) {
      throw new LabelstreamError('MODEL_CORRUPT', `${join(model.folder, file)} differs from its manifest`)
    }
    files.set(file, bytes)
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
