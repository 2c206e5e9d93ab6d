import { type Matrix, matrix } from '../evaluation/matrix.ts'
import { type Decision, decide } from './decision.ts'

/** A decision applied to many texts. */
export interface DecidedRows {
  /** Calibrated, `[texts, labels]`. */
  readonly scores: Matrix
  /** Decided labels of each text, highest score first. */
  readonly decided: readonly (readonly string[])[]
}

/** Scores and decisions of `[texts, labels]` logits. */
export function decideAll(decision: Decision, logits: Matrix): DecidedRows {
  const values = new Float32Array(logits.values.length)
  const decided: string[][] = []
  for (let row = 0; row < logits.rows; row++) {
    const start = row * logits.columns
    const outcome = decide(decision, logits.values.subarray(start, start + logits.columns))
    values.set(outcome.scores, start)
    decided.push(outcome.decided)
  }
  return { scores: matrix(logits.rows, logits.columns, values), decided }
}

/** One row of scores by label, for output. */
export const scoresByLabel = (labels: readonly string[], scores: Matrix, row: number): Record<string, number> =>
  Object.fromEntries(labels.map((label, column) => [label, scores.values[row * scores.columns + column] ?? NaN]))
