import { seededRandom } from '../core/random.ts'
import type { Matrix } from '../evaluation/matrix.ts'
import { macroF1OfOutcomes, outcomesOf } from '../evaluation/metrics.ts'

export interface GateResult {
  readonly passed: boolean
  /** Why, a sentence each. */
  readonly reasons: readonly string[]
}

/** Scores of one model on the rows of the comparison, with its own thresholds. */
export interface Contender {
  readonly scores: Matrix
  readonly thresholds: readonly number[]
}

const resamples = 1_000

/**
 * Whether a candidate may follow the champion: refused when its macro-F1 is significantly lower on the same rows,
 * by a paired bootstrap (Efron and Tibshirani 1993; rows drawn with replacement, one-sided at 5 %).
 */
export function compareWithChampion(
  candidate: Contender,
  champion: Contender,
  targets: Matrix,
  seed: number,
): GateResult {
  const outcomes = [candidate, champion].map(({ scores, thresholds }) =>
    outcomesOf(scores, targets, thresholds),
  )
  const [ours = new Uint8Array(), theirs = new Uint8Array()] = outcomes
  const difference = (rows: Uint32Array): number =>
    macroF1OfOutcomes(ours, targets.columns, rows) - macroF1OfOutcomes(theirs, targets.columns, rows)

  const all = Uint32Array.from({ length: targets.rows }, (_, row) => row)
  const random = seededRandom(seed)
  const differences = Float64Array.from({ length: resamples }, () =>
    difference(all.map(() => random.integer(targets.rows))),
  ).sort()
  const measured = difference(all)
  const low = differences[Math.floor(resamples * 0.05)] ?? 0
  const high = differences[Math.ceil(resamples * 0.95) - 1] ?? 0
  const worse = high < 0
  const figures = `macro-F1 ${signed(measured)} against the champion on ${targets.rows} rows, 90 % of resamples between ${signed(low)} and ${signed(high)}`
  return { passed: !worse, reasons: [worse ? `significantly worse: ${figures}` : `not worse: ${figures}`] }
}

const signed = (value: number): string => `${value < 0 ? '' : '+'}${value.toFixed(4)}`
