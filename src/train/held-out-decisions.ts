import { type Matrix, matrix, rowsOf } from '../evaluation/matrix.ts'
import { type Metrics, evaluateScores } from '../evaluation/metrics.ts'
import { decideAll } from '../models/score-matrix.ts'
import { type DecisionOptions, fitDecision } from './decision-fit.ts'
import type { Contender } from './gate.ts'

/** Logits `[rows, labels]` with their targets, and the fold of each row, 0 up to their number. */
export interface FoldedRows {
  readonly labels: readonly string[]
  readonly logits: Matrix
  readonly targets: Matrix
  readonly folds: readonly number[]
}

/** How every row is scored and decided by calibrators and thresholds that were fitted on the rows of the other folds. */
export interface HeldOutDecisions {
  /** Calibrated. */
  readonly scores: Matrix
  /** 1 where a label was decided, else 0: thresholds differ from fold to fold. */
  readonly decided: Matrix
}

export function heldOutDecisions(
  { labels, logits, targets, folds }: FoldedRows,
  options: DecisionOptions,
): HeldOutDecisions {
  const scores = new Float32Array(logits.values.length)
  const decided = new Float32Array(logits.values.length)
  for (const fold of new Set(folds)) {
    const held = folds.flatMap((each, row) => (each === fold ? [row] : []))
    const others = folds.flatMap((each, row) => (each === fold ? [] : [row]))
    const decision = fitDecision(labels, rowsOf(logits, others), rowsOf(targets, others), options)
    const inFold = decideAll(decision, rowsOf(logits, held)).scores
    inFold.values.forEach((score, cell) => {
      const column = cell % labels.length
      const place = (held[Math.floor(cell / labels.length)] ?? 0) * labels.length + column
      scores[place] = score
      decided[place] = score >= (decision.labels[column]?.threshold ?? NaN) ? 1 : 0
    })
  }
  const { rows, columns } = logits
  return { scores: matrix(rows, columns, scores), decided: matrix(rows, columns, decided) }
}

/** What the gate compares. */
export const contenderOf = ({ decided }: HeldOutDecisions): Contender => ({
  scores: decided,
  thresholds: Array.from({ length: decided.columns }, () => 0.5),
})

/** As `evaluateScores`; `thresholds` are those that are shown, beside what others decided. */
export function heldOutMetrics(
  { scores, decided }: HeldOutDecisions,
  targets: Matrix,
  labels: readonly string[],
  thresholds: readonly number[],
): Metrics {
  const byDecision = evaluateScores(decided, targets, labels, contenderOf({ scores, decided }).thresholds)
  const { meanAveragePrecision, expectedCalibrationError } = evaluateScores(
    scores,
    targets,
    labels,
    thresholds,
  )
  const perLabel = Object.fromEntries(
    labels.map((label, column) => [label, { ...byDecision.perLabel[label], threshold: thresholds[column] }]),
  ) as Metrics['perLabel']
  return { ...byDecision, meanAveragePrecision, expectedCalibrationError, perLabel }
}
