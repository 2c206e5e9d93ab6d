import type { Matrix } from '../evaluation/matrix.ts'
import type { Metrics } from '../evaluation/metrics.ts'
import type { Decision } from '../models/decision.ts'
import { partCounts } from './data-counts.ts'
import { targetsOf } from './dataset.ts'
import type { GateResult } from './gate.ts'
import type { LabelNoiseReport } from './label-noise.ts'
import { confusionTable } from './report-confusion.ts'
import { reportPlots } from './report-plots.ts'
import { renderReport } from './report.ts'
import { teachingDetails } from './teachers.ts'
import { type Trained, type TrainingRun, dataParts } from './training-run.ts'
import { worstMistakes } from './worst-mistakes.ts'

export interface VersionReport {
  readonly name: string
  readonly run: TrainingRun
  readonly trained: Trained
  readonly decision: Decision
  /** Calibrated. */
  readonly devScores: Matrix
  /** By part of the data. */
  readonly metrics: Readonly<Record<string, Metrics>>
  readonly gate: GateResult
  readonly warnings: readonly string[]
  readonly seconds: number
  readonly labelNoise?: LabelNoiseReport
}

/** The page on a trained version. */
export async function versionReport({
  name,
  run: { prepared, encoder, strategy, taughtBy },
  trained,
  decision,
  devScores,
  seconds,
  ...rest
}: VersionReport): Promise<string> {
  const { dev } = prepared.split
  const thresholds = decision.labels.map(({ threshold }) => threshold)
  const { history, bestEpoch } = trained
  const plotted = {
    labels: dev.labels,
    scores: devScores,
    targets: targetsOf(dev),
    thresholds,
    history,
    bestEpoch,
  }
  return renderReport({
    ...rest,
    title: `${name}: ${strategy.name} on ${encoder.name}`,
    facts: [
      ['data', prepared.data.source],
      ['rows', prepared.data.rows],
      ...Object.entries(taughtBy === undefined ? {} : teachingDetails(taughtBy)),
      ['trained parameters', trained.trainableParameters],
      ['steps', trained.steps],
      ['seconds', seconds.toFixed(1)],
    ],
    parts: dataParts.map((part) => partCounts(part, prepared.split[part])),
    labels: dev.labels,
    history,
    bestEpoch,
    plots: await reportPlots(plotted),
    confusion: confusionTable(plotted),
    mistakes: worstMistakes(dev, devScores, thresholds),
  })
}
