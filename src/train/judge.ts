import type { Matrix } from '../evaluation/matrix.ts'
import { type Metrics, evaluateScores } from '../evaluation/metrics.ts'
import type { Decision } from '../models/decision.ts'
import { goldenOf, goldenTexts } from '../models/golden.ts'
import { decideAll } from '../models/score-matrix.ts'
import { type GateOptions, passGate } from './champion-gate.ts'
import { type Dataset, targetsOf } from './dataset.ts'
import {
  type BestOnRows,
  type DecisionOptions,
  bestOnTheseRows,
  defaultDecisionOptions,
  fitDecision,
} from './decision-fit.ts'
import type { GateResult } from './gate.ts'
import type { Prepared } from './prepare.ts'
import type { Trained } from './training-run.ts'

export interface JudgeOptions extends GateOptions {
  readonly decision?: DecisionOptions
}

/** What a trained model is worth, and how it decides. */
export interface Outcome {
  readonly decision: Decision
  readonly devScores: Matrix
  readonly dev: Metrics
  /** On the dev part with the thresholds that are best there. */
  readonly bestOnDev: BestOnRows
  readonly test: Metrics | undefined
  readonly golden: ReturnType<typeof goldenOf>
  readonly gate: GateResult
}

/** Calibrates, chooses thresholds, measures, and compares with the champion. */
export async function judge(
  options: JudgeOptions,
  { split: { dev, test } }: Prepared,
  { devLogits, testLogits, goldenLogits, seed }: Trained,
): Promise<Outcome> {
  const decision = fitDecision(
    dev.labels,
    devLogits,
    targetsOf(dev),
    options.decision ?? defaultDecisionOptions,
  )
  const thresholds = decision.labels.map(({ threshold }) => threshold)
  const devScores = decideAll(decision, devLogits).scores
  const measure = (scores: Matrix, rows: Dataset): Metrics =>
    evaluateScores(scores, targetsOf(rows), rows.labels, thresholds)
  return {
    decision,
    devScores,
    dev: measure(devScores, dev),
    bestOnDev: bestOnTheseRows(devScores, targetsOf(dev), dev.labels),
    test: test.rows.length === 0 ? undefined : measure(decideAll(decision, testLogits).scores, test),
    golden: goldenOf(dev.labels, goldenTexts, decideAll(decision, goldenLogits).scores),
    gate: await passGate(options, { scores: devScores, thresholds }, dev, seed),
  }
}
