import { sigmoid } from './calibrators.ts'
import { type Matrix, descendingOrder, isPositive, knownCells } from './matrix.ts'

/** How thresholds are chosen on development rows. */
export type ThresholdPolicy = { readonly kind: 'fixed'; readonly value: number } | TunedPolicy

export type TunedPolicy = (
  | { readonly kind: 'f-beta'; readonly beta: number }
  /** Lowest threshold whose precision reaches `target`; the highest-precision one when none does. */
  | { readonly kind: 'precision'; readonly target: number }
) & {
  /** A label with fewer positives takes the threshold pooled over all labels. */
  readonly minPositives: number
  /** Positives at which the targets' own best cut and the scores' expected one weigh the same; 0 takes the own one. */
  readonly shrinkage: number
}

export interface ChosenThreshold {
  readonly threshold: number
  /** True when the label had too few positives and the pooled threshold stands in. */
  readonly pooled: boolean
}

/** What the development rows say about one label's threshold. */
export interface ThresholdEvidence {
  readonly positives: number
  /** The best cut by the targets: exact on these rows, and noise where there are few positives. */
  readonly own: number
  /**
   * The best cut if each row were positive with its calibrated probability. It is as good as the calibration, and
   * hardly varies: every row counts, not the positive ones alone.
   */
  readonly expected: number
}

/**
 * One threshold a label, in column order. `scores`, `targets` and `probabilities` are `[rows, labels]`; NaN targets
 * are left out. `probabilities` are the best calibrated ones at hand, and in the order of the scores label by label.
 */
export function chooseThresholds(
  scores: Matrix,
  targets: Matrix,
  policy: ThresholdPolicy,
  probabilities: Matrix = scores,
): ChosenThreshold[] {
  if (policy.kind === 'fixed') {
    return Array.from({ length: scores.columns }, () => ({ threshold: policy.value, pooled: false }))
  }
  const pooledThreshold = pooledThresholdOf(scores, targets, policy)
  return thresholdEvidence(scores, targets, policy, probabilities).map((evidence) =>
    evidence.positives < policy.minPositives
      ? { threshold: pooledThreshold, pooled: true }
      : { threshold: shrunk(evidence, policy.shrinkage), pooled: false },
  )
}

/** The evidence on each label, in column order. */
export function thresholdEvidence(
  scores: Matrix,
  targets: Matrix,
  policy: TunedPolicy,
  probabilities: Matrix,
): ThresholdEvidence[] {
  return Array.from({ length: scores.columns }, (_, column) => {
    const cells = knownCells(scores, targets, column)
    const hard = Float32Array.from(cells.targets, (target) => (isPositive(target) ? 1 : 0))
    return {
      positives: sum(hard),
      own: search(cells.scores, hard, policy),
      expected: search(cells.scores, knownCells(probabilities, targets, column).scores, policy),
    }
  })
}

/**
 * The own cut pulled towards the expected one, on the logit scale, by `shrinkage / (positives + shrinkage)`: the
 * weight of a prior that is worth `shrinkage` positives.
 */
export function shrunk({ positives, own, expected }: ThresholdEvidence, shrinkage: number): number {
  if (shrinkage === 0) return own
  const prior = shrinkage === Infinity ? 1 : shrinkage / (positives + shrinkage)
  return sigmoid(prior * logit(expected) + (1 - prior) * logit(own))
}

/** The best cut over the cells of all labels together. */
export function pooledThresholdOf(scores: Matrix, targets: Matrix, policy: TunedPolicy): number {
  const cells = knownOfAll(scores, targets)
  return search(
    cells.scores,
    Float32Array.from(cells.targets, (target) => (isPositive(target) ? 1 : 0)),
    policy,
  )
}

/**
 * The best cut of one list of scores, where row i is positive with `probabilities[i]` (0 or 1 where that is known).
 * Cuts lie half-way between neighbouring distinct scores, so that a small change of a score does not flip the rows
 * it was chosen on; of equally good cuts the one nearest to 0.5 wins. 0.5 when nothing can be positive.
 */
function search(scores: Float32Array, probabilities: Float32Array, policy: TunedPolicy): number {
  const positives = sum(probabilities)
  if (positives === 0) return 0.5
  const order = descendingOrder(scores)
  let best = { quality: -1, threshold: 0.5 }
  let truePositives = 0
  for (let rank = 0; rank < order.length; rank++) {
    const index = order[rank] ?? 0
    truePositives += probabilities[index] ?? 0
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
function qualityOf(truePositives: number, decided: number, positives: number, policy: TunedPolicy): number {
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

const sum = (values: Float32Array): number => values.reduce((total, value) => total + value, 0)

/** Scores of exactly 0 and 1 have no logit: they count as the nearest that have one. */
function logit(score: number): number {
  const inside = Math.min(Math.max(score, 1e-9), 1 - 1e-9)
  return Math.log(inside / (1 - inside))
}
