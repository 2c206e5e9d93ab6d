import { type Matrix, descendingOrder, isPositive } from './matrix.ts'

export interface PrecisionRecallCurve {
  /** One more than thresholds: the last point is precision 1 at recall 0 and has no threshold. */
  readonly precision: Float64Array
  readonly recall: Float64Array
  /** Every different score, rising. */
  readonly thresholds: Float32Array
}

/**
 * Precision and recall of one label at each different score taken as the threshold (decided where score >= threshold),
 * as scikit-learn's `precision_recall_curve` gives them. Undefined without a positive: there is no recall then.
 */
export function precisionRecallCurve(
  scores: Float32Array,
  targets: Float32Array,
): PrecisionRecallCurve | undefined {
  const positives = targets.reduce((count, target) => count + (isPositive(target) ? 1 : 0), 0)
  if (positives === 0) return undefined
  const order = descendingOrder(scores)
  const precision = [1]
  const recall = [0]
  const thresholds: number[] = []
  let truePositives = 0
  for (let rank = 0; rank < order.length; rank++) {
    const index = order[rank] ?? 0
    const score = scores[index] ?? 0
    if (isPositive(targets[index] ?? 0)) truePositives++
    const next = order[rank + 1]
    if (next !== undefined && scores[next] === score) continue
    precision.push(truePositives / (rank + 1))
    recall.push(truePositives / positives)
    thresholds.push(score)
  }
  return {
    precision: Float64Array.from(precision.reverse()),
    recall: Float64Array.from(recall.reverse()),
    thresholds: Float32Array.from(thresholds.reverse()),
  }
}

export interface ReliabilityBin {
  /** Scores from `from` up to, but without, `to`; the last bin has 1 too. */
  readonly from: number
  readonly to: number
  readonly count: number
  readonly meanScore: number
  /** The part of positives; soft targets enter with their value. */
  readonly meanTarget: number
}

/**
 * The reliability diagram over all known cells: equal-width bins of the score, those without a cell left out
 * (Niculescu-Mizil and Caruana 2005). The bins are those of `expectedCalibrationError`, by default fewer.
 */
export function reliabilityBins(scores: Matrix, targets: Matrix, bins = 10): readonly ReliabilityBin[] {
  const counts = new Float64Array(bins)
  const scoreSums = new Float64Array(bins)
  const targetSums = new Float64Array(bins)
  scores.values.forEach((score, cell) => {
    const target = targets.values[cell] ?? NaN
    if (Number.isNaN(target)) return
    const bin = Math.min(bins - 1, Math.floor(score * bins))
    counts[bin] = (counts[bin] ?? 0) + 1
    scoreSums[bin] = (scoreSums[bin] ?? 0) + score
    targetSums[bin] = (targetSums[bin] ?? 0) + target
  })
  return Array.from(counts, (count, bin) => ({
    from: bin / bins,
    to: (bin + 1) / bins,
    count,
    meanScore: (scoreSums[bin] ?? 0) / count,
    meanTarget: (targetSums[bin] ?? 0) / count,
  })).filter(({ count }) => count > 0)
}
