import { type Matrix, isPositive } from './matrix.ts'

/** What became of the positives of one label. `found` + `nothing` + the sum of `instead` is `positives`. */
export interface ConfusionRow {
  readonly positives: number
  /** Rows where the label was decided. */
  readonly found: number
  /** Rows where it was missed and no label was decided wrongly. */
  readonly nothing: number
  /** Rows where it was missed, by the column of the label that was decided wrongly; several share one row evenly. */
  readonly instead: ReadonlyMap<number, number>
}

/**
 * Which labels are taken for which, one row a label: the multi-label form of the confusion matrix of Heydarian et al.
 * (2022), where a missed label counts against the wrongly decided ones of the same text and, when there are none,
 * against nothing. Here several wrong labels share the miss, so that a row sums to the label's positives.
 *
 * `scores` and `targets` are `[rows, labels]`; unknown targets (NaN) are neither missed nor wrong, soft ones are
 * positive from 0.5 on. Only pairs that occur are kept: 10,000 labels have 100 million.
 */
export function labelConfusion(
  scores: Matrix,
  targets: Matrix,
  thresholds: readonly number[],
): readonly ConfusionRow[] {
  const rows = Array.from({ length: scores.columns }, () => ({
    positives: 0,
    found: 0,
    nothing: 0,
    instead: new Map<number, number>(),
  }))
  for (let row = 0; row < scores.rows; row++) {
    const missed: number[] = []
    const wrong: number[] = []
    rows.forEach((counts, column) => {
      const target = targets.values[row * targets.columns + column] ?? NaN
      if (Number.isNaN(target)) return
      const decided = (scores.values[row * scores.columns + column] ?? 0) >= (thresholds[column] ?? 0.5)
      if (!isPositive(target)) {
        if (decided) wrong.push(column)
        return
      }
      counts.positives++
      if (decided) counts.found++
      else missed.push(column)
    })
    for (const column of missed) {
      const counts = rows[column]
      if (counts === undefined) continue
      if (wrong.length === 0) counts.nothing++
      for (const other of wrong) {
        counts.instead.set(other, (counts.instead.get(other) ?? 0) + 1 / wrong.length)
      }
    }
  }
  return rows
}

/** One label taken for another. */
export interface ConfusedPair {
  readonly missed: number
  readonly instead: number
  /** Rows, in part where a row has several wrong labels. */
  readonly rows: number
  /** Of the positives of the missed label. */
  readonly share: number
}

/** The pairs of different labels, most rows first; equal ones in column order. */
export function confusedPairs(confusion: readonly ConfusionRow[]): readonly ConfusedPair[] {
  return confusion
    .flatMap(({ positives, instead }, missed) =>
      [...instead]
        .sort(([a], [b]) => a - b)
        .map(([other, rows]) => ({ missed, instead: other, rows, share: rows / positives })),
    )
    .sort((a, b) => b.rows - a.rows)
}
