import { descendingOrder, isPositive } from './matrix.ts'

/**
 * Average precision of one label: the sum over thresholds of (recall step) x precision, without interpolation,
 * equal scores forming one threshold (scikit-learn, `average_precision_score`). NaN without a positive.
 */
export function averagePrecision(scores: Float32Array, targets: Float32Array): number {
  const positives = targets.reduce((count, target) => count + (isPositive(target) ? 1 : 0), 0)
  if (positives === 0) return NaN
  const order = descendingOrder(scores)
  let truePositives = 0
  let counted = 0
  let sum = 0
  for (let rank = 0; rank < order.length; rank++) {
    const index = order[rank] ?? 0
    if (isPositive(targets[index] ?? 0)) truePositives++
    const next = order[rank + 1]
    if (next !== undefined && scores[next] === scores[index]) continue
    sum += ((truePositives - counted) / positives) * (truePositives / (rank + 1))
    counted = truePositives
  }
  return sum
}
