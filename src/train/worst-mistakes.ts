import { type Matrix, isPositive } from '../evaluation/matrix.ts'
import type { Dataset } from './dataset.ts'

/** A label with its score, and its target where that is soft. */
export interface ScoredLabel {
  readonly label: string
  readonly score: number
  readonly target: number
}

/** A row that was decided wrongly. */
export interface Mistake {
  readonly id: string
  /** Summed binary cross-entropy of its known labels, in nats. */
  readonly loss: number
  readonly missed: readonly ScoredLabel[]
  /** Decided, though not given. */
  readonly wrong: readonly ScoredLabel[]
  readonly right: readonly ScoredLabel[]
}

/** Bounds the loss of a score that rounds to 0 or 1. */
const leastScore = 1e-7

/**
 * The `most` rows with the highest loss among those with a wrong decision, highest first; equal ones in the order of
 * the rows. `scores` are `[rows, labels]`, calibrated; unknown labels count nowhere. No text comes out.
 */
export function worstMistakes(
  { labels, rows }: Dataset,
  scores: Matrix,
  thresholds: readonly number[],
  most = 25,
): readonly Mistake[] {
  return rows
    .map(({ id, targets }, row): Mistake => {
      const missed: ScoredLabel[] = []
      const wrong: ScoredLabel[] = []
      const right: ScoredLabel[] = []
      let loss = 0
      labels.forEach((label, column) => {
        const target = targets[column] ?? NaN
        if (Number.isNaN(target)) return
        const score = scores.values[row * scores.columns + column] ?? 0
        loss += crossEntropy(score, target)
        const decided = score >= (thresholds[column] ?? 0.5)
        const given = isPositive(target)
        if (given || decided) (decided ? (given ? right : wrong) : missed).push({ label, score, target })
      })
      return { id, loss, missed, wrong, right }
    })
    .filter(({ missed, wrong }) => missed.length + wrong.length > 0)
    .sort((a, b) => b.loss - a.loss)
    .slice(0, most)
}

function crossEntropy(score: number, target: number): number {
  const bounded = Math.min(1 - leastScore, Math.max(leastScore, score))
  return -target * Math.log(bounded) - (1 - target) * Math.log(1 - bounded)
}
