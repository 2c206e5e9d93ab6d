import { seededRandom } from '../core/random.ts'
import { type CalibrationKind, calibrate, expectedProbabilities, fitCalibrators } from './calibrators.ts'
import { type Matrix, rowsOf } from './matrix.ts'
import { macroF1OfOutcomes, outcomesOf } from './metrics.ts'
import { type TunedPolicy, pooledThresholdOf, shrunk, thresholdEvidence } from './thresholds.ts'

const candidates = [0, 10, 30, 100, 300, Infinity] as const
const folds = 5
const repeats = 4

export interface ShrinkageChoice {
  readonly shrinkage: number
  /** Mean macro-F1 on folds that neither calibrators nor thresholds were fitted on, a candidate each. */
  readonly heldOut: readonly { readonly shrinkage: number; readonly macroF1: number }[]
}

/**
 * How strongly thresholds are pulled towards the expected ones, by repeated cross-validation on the `[rows, labels]`
 * logits of the dev part: calibrators and thresholds are fitted on four fifths and decide the last one. Thresholds
 * that are best on the rows they were chosen on flatter themselves; this asks which hold on new ones. A few rows tell
 * little about that, so the strongest pull wins that is not worse than the best one by more than a standard error
 * of their difference (as Breiman et al. 1984 prune trees).
 */
export function chooseShrinkage(
  logits: Matrix,
  targets: Matrix,
  calibration: CalibrationKind,
  policy: TunedPolicy,
): ShrinkageChoice {
  const random = seededRandom(1)
  const qualities = candidates.map((): number[] => [])
  for (let repeat = 0; repeat < repeats; repeat++) {
    const order = random.shuffle(Array.from({ length: logits.rows }, (_, row) => row))
    for (let fold = 0; fold < folds; fold++) {
      const held = order.filter((_row, place) => place % folds === fold)
      const fitted = order.filter((_row, place) => place % folds !== fold)
      const calibrators = fitCalibrators(rowsOf(logits, fitted), rowsOf(targets, fitted), calibration)
      const fittedScores = calibrate(rowsOf(logits, fitted), calibrators)
      const fittedTargets = rowsOf(targets, fitted)
      const evidence = thresholdEvidence(
        fittedScores,
        fittedTargets,
        policy,
        expectedProbabilities(rowsOf(logits, fitted), fittedTargets),
      )
      const pooled = pooledThresholdOf(fittedScores, fittedTargets, policy)
      const heldScores = calibrate(rowsOf(logits, held), calibrators)
      const heldTargets = rowsOf(targets, held)
      const heldRows = Uint32Array.from(held.keys())
      candidates.forEach((shrinkage, place) => {
        const thresholds = evidence.map((each) =>
          each.positives < policy.minPositives ? pooled : shrunk(each, shrinkage),
        )
        const decided = outcomesOf(heldScores, heldTargets, thresholds)
        qualities[place]?.push(macroF1OfOutcomes(decided, logits.columns, heldRows))
      })
    }
  }
  const heldOut = candidates.map((shrinkage, place) => ({ shrinkage, macroF1: mean(qualities[place] ?? []) }))
  return { shrinkage: candidates[strongestGoodEnough(qualities)] ?? 0, heldOut }
}

/** The place of the last candidate that the best one does not clearly beat, fold by fold. */
function strongestGoodEnough(qualities: readonly (readonly number[])[]): number {
  const means = qualities.map(mean)
  const best = means.indexOf(Math.max(...means))
  const isGoodEnough = (each: readonly number[]): boolean => {
    const losses = each.map((quality, at) => (qualities[best]?.[at] ?? 0) - quality)
    const loss = mean(losses)
    const variance = mean(losses.map((one) => (one - loss) ** 2))
    // repetitions have the same rows: they do not make the folds more
    return loss <= Math.sqrt(variance / folds)
  }
  return qualities.findLastIndex(isGoodEnough)
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length
