import { type Matrix, isPositive, knownCells } from './matrix.ts'
import { averagePrecision } from './ranking.ts'

export interface LabelMetrics {
  readonly precision: number
  readonly recall: number
  readonly f1: number
  /** Rows whose known target is positive. */
  readonly support: number
  readonly threshold: number
}

/** The quality of scores against targets; field names as in the output of `evaluate`. */
export interface Metrics {
  readonly rows: number
  readonly macroF1: number
  readonly microF1: number
  readonly samplesF1: number
  readonly exactMatch: number
  readonly hammingLoss: number
  readonly meanAveragePrecision: number
  readonly expectedCalibrationError: number
  readonly perLabel: Readonly<Record<string, LabelMetrics>>
}

interface Counts {
  truePositives: number
  falsePositives: number
  falseNegatives: number
}

/**
 * Every metric of one scoring, by scikit-learn's definitions with `zero_division=0`.
 *
 * `scores` and `targets` are `[rows, labels]`, scores in 0..1; a target of NaN is unknown and counts nowhere;
 * soft targets are positive from 0.5 on. A score is a decision when it reaches its label's threshold.
 * macroF1 is over all labels; samplesF1 and exactMatch are over rows with a known target; mean average
 * precision is over labels with a positive (scikit-learn gives such labels 0 and a warning).
 */
export function evaluateScores(
  scores: Matrix,
  targets: Matrix,
  labels: readonly string[],
  thresholds: readonly number[],
): Metrics {
  const counts = labels.map((): Counts => ({ truePositives: 0, falsePositives: 0, falseNegatives: 0 }))
  let knownTotal = 0
  let wrongTotal = 0
  let knownRows = 0
  let exactRows = 0
  let rowF1Sum = 0
  for (let row = 0; row < scores.rows; row++) {
    const inRow: Counts = { truePositives: 0, falsePositives: 0, falseNegatives: 0 }
    let known = 0
    counts.forEach((inLabel, column) => {
      const target = targets.values[row * targets.columns + column] ?? NaN
      if (Number.isNaN(target)) return
      known++
      const decided = (scores.values[row * scores.columns + column] ?? 0) >= (thresholds[column] ?? 0.5)
      for (const count of [inLabel, inRow]) add(count, decided, isPositive(target))
    })
    if (known === 0) continue
    const wrong = inRow.falsePositives + inRow.falseNegatives
    knownRows++
    knownTotal += known
    wrongTotal += wrong
    rowF1Sum += f1Of(inRow)
    if (wrong === 0) exactRows++
  }

  const pooled: Counts = { truePositives: 0, falsePositives: 0, falseNegatives: 0 }
  for (const count of counts) {
    pooled.truePositives += count.truePositives
    pooled.falsePositives += count.falsePositives
    pooled.falseNegatives += count.falseNegatives
  }
  const averagePrecisions = labels
    .map((_label, column) => {
      const cells = knownCells(scores, targets, column)
      return averagePrecision(cells.scores, cells.targets)
    })
    .filter((value) => !Number.isNaN(value))

  return {
    rows: scores.rows,
    macroF1: mean(counts.map(f1Of)),
    microF1: f1Of(pooled),
    samplesF1: ratio(rowF1Sum, knownRows),
    exactMatch: ratio(exactRows, knownRows),
    hammingLoss: ratio(wrongTotal, knownTotal),
    meanAveragePrecision: mean(averagePrecisions),
    expectedCalibrationError: expectedCalibrationError(scores, targets),
    perLabel: Object.fromEntries(
      labels.map((label, column) => [label, labelMetrics(counts[column], thresholds[column] ?? 0.5)]),
    ),
  }
}

/**
 * Macro-F1 alone, of the rows named in `rowIndices` (repeats allowed): what a bootstrap evaluates thousands of
 * times. `outcomes` is `[rows, labels]` of 0 true negative or unknown, 1 true positive, 2 false positive,
 * 3 false negative, from `outcomesOf`.
 */
export function macroF1OfOutcomes(outcomes: Uint8Array, labels: number, rowIndices: Uint32Array): number {
  const tally = new Uint32Array(labels * 4)
  for (const row of rowIndices) {
    for (let column = 0; column < labels; column++) {
      const cell = column * 4 + (outcomes[row * labels + column] ?? 0)
      tally[cell] = (tally[cell] ?? 0) + 1
    }
  }
  let sum = 0
  for (let column = 0; column < labels; column++) {
    sum += f1Of({
      truePositives: tally[column * 4 + 1] ?? 0,
      falsePositives: tally[column * 4 + 2] ?? 0,
      falseNegatives: tally[column * 4 + 3] ?? 0,
    })
  }
  return ratio(sum, labels)
}

/** Each cell's outcome, as `macroF1OfOutcomes` reads it. */
export function outcomesOf(scores: Matrix, targets: Matrix, thresholds: readonly number[]): Uint8Array {
  return Uint8Array.from(scores.values, (score, cell) => {
    const target = targets.values[cell] ?? NaN
    if (Number.isNaN(target)) return 0
    const decided = score >= (thresholds[cell % scores.columns] ?? 0.5)
    if (isPositive(target)) return decided ? 1 : 3
    return decided ? 2 : 0
  })
}

/**
 * Expected calibration error over all known cells: equal-width bins of the score, the absolute gap between mean
 * score and mean target, weighted by the bin's share (Naeini et al. 2015; Guo et al. 2017, 15 bins). Soft
 * targets enter with their value.
 */
export function expectedCalibrationError(scores: Matrix, targets: Matrix, bins = 15): number {
  const gaps = new Float64Array(bins)
  let known = 0
  scores.values.forEach((score, cell) => {
    const target = targets.values[cell] ?? NaN
    if (Number.isNaN(target)) return
    known++
    const bin = Math.min(bins - 1, Math.floor(score * bins))
    gaps[bin] = (gaps[bin] ?? 0) + score - target
  })
  return ratio(
    gaps.reduce((sum, gap) => sum + Math.abs(gap), 0),
    known,
  )
}

function add(count: Counts, decided: boolean, positive: boolean): void {
  if (decided && positive) count.truePositives++
  else if (decided) count.falsePositives++
  else if (positive) count.falseNegatives++
}

function labelMetrics(count: Counts | undefined, threshold: number): LabelMetrics {
  const { truePositives, falsePositives, falseNegatives } = count ?? {
    truePositives: 0,
    falsePositives: 0,
    falseNegatives: 0,
  }
  return {
    precision: ratio(truePositives, truePositives + falsePositives),
    recall: ratio(truePositives, truePositives + falseNegatives),
    f1: f1Of({ truePositives, falsePositives, falseNegatives }),
    support: truePositives + falseNegatives,
    threshold,
  }
}

const f1Of = (count: Counts): number =>
  ratio(2 * count.truePositives, 2 * count.truePositives + count.falsePositives + count.falseNegatives)

const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)

const mean = (values: readonly number[]): number =>
  ratio(
    values.reduce((sum, value) => sum + value, 0),
    values.length,
  )
