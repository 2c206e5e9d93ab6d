import { type Matrix, descendingOrder, isPositive, knownCells } from './matrix.ts'

/** How thresholds are chosen on development rows. */
export type ThresholdPolicy =
  | { readonly kind: 'fixed'; readonly value: number }
  /** Highest F-beta; a label with fewer positives than `minPositives` takes the threshold pooled over all labels. */
  | { readonly kind: 'f-beta'; readonly beta: number; readonly minPositives: number }
  /** Lowest threshold whose precision reaches `target`; the highest-precision one when none does. */
  | { readonly kind: 'precision'; readonly target: number; readonly minPositives: number }

export interface ChosenThreshold {
  readonly threshold: number
  /** True when the label had too few positives and the pooled threshold stands in. */
  readonly pooled: boolean
}

/** One threshold a label, in column order. `scores` and `targets` are `[rows, labels]`; NaN targets are left out. */
export function chooseThresholds(
  scores: Matrix,
  targets: Matrix,
  policy: ThresholdPolicy,
): ChosenThreshold[] {
  const columns = Array.from({ length: scores.columns }, (_, column) => column)
  if (policy.kind === 'fixed') return columns.map(() => ({ threshold: policy.value, pooled: false }))

  const pooledCells = knownOfAll(scores, targets)
  const pooledThreshold = search(pooledCells.scores, pooledCells.targets, policy)
  return columns.map((column) => {
    const cells = knownCells(scores, targets, column)
    const positives = cells.targets.reduce((count, target) => count + (isPositive(target) ? 1 : 0), 0)
    if (positives < policy.minPositives) return { threshold: pooledThreshold, pooled: true }
    return { threshold: search(cells.scores, cells.targets, policy), pooled: false }
  })
}

/**
 * The best cut of one list of scores. Cuts lie half-way between neighbouring distinct scores, so that a small
 * change of a score does not flip the rows it was chosen on; of equally good cuts the one nearest to 0.5 wins.
 * 0.5 when there is no positive.
 */
function search(
  scores: Float32Array,
  targets: Float32Array,
  policy: Exclude<ThresholdPolicy, { kind: 'fixed' }>,
): number {
  const positives = targets.reduce((count, target) => count + (isPositive(target) ? 1 : 0), 0)
  if (positives === 0) return 0.5
  const order = descendingOrder(scores)
  let best = { quality: -1, threshold: 0.5 }
  let truePositives = 0
  for (let rank = 0; rank < order.length; rank++) {
    const index = order[rank] ?? 0
    if (isPositive(targets[index] ?? 0)) truePositives++
    const score = scores[index] ?? 0
    const next = order[rank + 1]
    const nextScore = next === undefined ? 0 : (scores[next] ?? 0)
    if (next !== undefined && nextScore === score) continue
    const threshold = cutBetween(score, nextScore)
    const quality = qualityOf(truePositives, rank + 1, positives, policy)
    const nearer = Math.abs(threshold - 0.5) < Math.abs(best.threshold - 0.5)
    if (quality > best.quality || (quality === best.quality && nearer)) best = { quality, threshold }
  }
  return best.threshold
}

/** The point of [lower, upper] nearest to half-way that still keeps `upper` above and `lower` below it. */
function cutBetween(upper: number, lower: number): number {
  const middle = (upper + lower) / 2
  return middle > lower ? middle : upper
}

/** F-beta of van Rijsbergen; or, for a precision target, 1 + recall once the precision is reached, else precision. */
function qualityOf(
  truePositives: number,
  decided: number,
  positives: number,
  policy: Exclude<ThresholdPolicy, { kind: 'fixed' }>,
): number {
  if (policy.kind === 'precision') {
    const precision = truePositives / decided
    return precision >= policy.target ? 1 + truePositives / positives : precision
  }
  const betaSquared = policy.beta ** 2
  return ((1 + betaSquared) * truePositives) / (betaSquared * positives + decided)
}

function knownOfAll(scores: Matrix, targets: Matrix): { scores: Float32Array; targets: Float32Array } {
  const known = Array.from(targets.values.keys()).filter((cell) => !Number.isNaN(targets.values[cell] ?? NaN))
  return {
    scores: Float32Array.from(known, (cell) => scores.values[cell] ?? 0),
    targets: Float32Array.from(known, (cell) => targets.values[cell] ?? 0),
  }
}
