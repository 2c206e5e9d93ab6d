import type { Matrix } from '../evaluation/matrix.ts'
import { evaluateScores } from '../evaluation/metrics.ts'
import type { Decision } from '../models/decision.ts'
import type { GoldenScores } from '../models/golden.ts'
import type { ClassifierManifest } from '../models/manifest.ts'
import { decideAll } from '../models/score-matrix.ts'
import type { TextRunnerOptions } from '../models/text-runner.ts'
import { type Dataset, targetsOf } from './dataset.ts'
import { type DecisionOptions, fitDecision } from './decision-fit.ts'
import { type UnwrittenModel, logitsOfUnwritten } from './unwritten-model.ts'

/** int8 may cost so much macro-F1 on the dev part. */
const mostF1Loss = 0.005

/**
 * Golden texts may score so far from fp32. Serving allows more: what a text shares its batch with moves int8 scores,
 * and a model that passed here must start there.
 */
const mostGoldenDifference = 0.15

export interface Int8Subject extends UnwrittenModel {
  readonly dev: Dataset
  /** In fp32, and what was fitted on them. */
  readonly devLogits: Matrix
  readonly decision: Decision
  readonly golden: GoldenScores
}

export interface Int8Outcome {
  readonly check: NonNullable<ClassifierManifest['int8Check']>
  /** Fitted on the int8 logits of the dev part. */
  readonly decision: Decision
}

/**
 * Scores the dev part with the int8 graph, fits calibrators and thresholds of its own, and compares with fp32.
 * Throws what inference throws.
 */
export async function checkInt8(
  subject: Int8Subject,
  runnerOptions: TextRunnerOptions,
  decisionOptions: DecisionOptions,
): Promise<Int8Outcome> {
  const { dev, devLogits, golden } = subject
  const texts = [...dev.rows.map(({ text }) => text), ...golden.map(({ text }) => text)]
  const int8 = { ...runnerOptions, provider: 'cpu', precision: 'int8' } as const
  const logits = await logitsOfUnwritten(subject, texts, int8)
  const rowsOf = (from: number, rows: number): Matrix => ({
    rows,
    columns: logits.columns,
    values: logits.values.subarray(from * logits.columns, (from + rows) * logits.columns),
  })
  const devInt8 = rowsOf(0, dev.rows.length)
  const targets = targetsOf(dev)
  const decision: Decision = {
    ...fitDecision(dev.labels, devInt8, targets, decisionOptions),
    precision: 'int8',
  }
  const exact = decideAll(subject.decision, devLogits).scores
  const rounded = decideAll(decision, devInt8).scores
  const differences = exact.values.map((score, index) => Math.abs(score - (rounded.values[index] ?? NaN)))
  const macroF1 = evaluateScores(rounded, targets, dev.labels, thresholdsOf(decision)).macroF1
  const exactF1 = evaluateScores(exact, targets, dev.labels, thresholdsOf(subject.decision)).macroF1
  const goldenScores = decideAll(decision, rowsOf(dev.rows.length, golden.length)).scores
  const macroF1Difference = macroF1 - exactF1
  return {
    check: {
      passed:
        macroF1Difference >= -mostF1Loss &&
        goldenDifference(golden, dev.labels, goldenScores) <= mostGoldenDifference,
      rows: dev.rows.length,
      meanScoreDifference: differences.reduce((sum, each) => sum + each, 0) / differences.length,
      maxScoreDifference: differences.reduce((most, each) => Math.max(most, each), 0),
      macroF1,
      macroF1Difference,
    },
    decision,
  }
}

const thresholdsOf = (decision: Decision): number[] => decision.labels.map(({ threshold }) => threshold)

/** NaN counts as infinity. */
function goldenDifference(golden: GoldenScores, labels: readonly string[], scores: Matrix): number {
  let most = 0
  golden.forEach(({ scores: expected }, row) => {
    labels.forEach((label, column) => {
      const score = scores.values[row * scores.columns + column] ?? NaN
      const difference = Math.abs(score - (expected[label] ?? NaN))
      if (!(difference <= most)) most = Number.isNaN(difference) ? Infinity : difference
    })
  })
  return most
}
