import { seededRandom } from '../core/random.ts'
import { type CalibrationKind, calibrate, fitCalibrators, plattProbabilities } from './calibrators.ts'
import { type Matrix, rowsOf } from './matrix.ts'
import { macroF1OfOutcomes, outcomesOf } from './metrics.ts'
import { type TunedPolicy, pooledThresholdOf, shrunk, thresholdEvidence } from './thresholds.ts'

const candidates = [0, 10, 30, 100, 300, Infinity] as const
const folds = 5
const repeats = 4

export interface ShrinkageChoice {
  readonly shrinkage: number
  /** Macro-F1 on rows that neither calibrators nor thresholds were fitted on, a candidate each. */
  readonly heldOut: readonly { readonly shrinkage: number; readonly macroF1: number }[]
}

/**
 * How strongly thresholds are pulled towards the expected ones, by repeated cross-validation on the `[rows, labels]`
 * logits of the dev part: calibrators and thresholds are fitted on four fifths and decide the last one. Thresholds
 * that are best on the rows they were chosen on flatter themselves; this asks which hold on new ones. Of equally
 * good strengths the larger wins.
 */
export function chooseShrinkage(
  logits: Matrix,
  targets: Matrix,
  calibration: CalibrationKind,
  policy: TunedPolicy,
): ShrinkageChoice {
  const random = seededRandom(1)
  const sums = candidates.map(() => 0)
  for (let repeat = 0; repeat < repeats; repeat++) {
    const order = random.shuffle(Array.from({ length: logits.rows }, (_, row) => row))
    const outcomes = candidates.map(() => new Uint8Array(logits.rows * logits.columns))
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
        plattProbabilities(rowsOf(logits, fitted), fittedTargets),
      )
      const pooled = pooledThresholdOf(fittedScores, fittedTargets, policy)
      const heldScores = calibrate(rowsOf(logits, held), calibrators)
      candidates.forEach((shrinkage, place) => {
        const thresholds = evidence.map((each) =>
          each.positives < policy.minPositives ? pooled : shrunk(each, shrinkage),
        )
        const decided = outcomesOf(heldScores, rowsOf(targets, held), thresholds)
        held.forEach((row, at) => {
          const cells = decided.subarray(at * logits.columns, (at + 1) * logits.columns)
          outcomes[place]?.set(cells, row * logits.columns)
        })
      })
    }
    const everyRow = Uint32Array.from({ length: logits.rows }, (_, row) => row)
    outcomes.forEach((each, place) => {
      sums[place] = (sums[place] ?? 0) + macroF1OfOutcomes(each, logits.columns, everyRow)
    })
  }
  const heldOut = candidates.map((shrinkage, place) => ({
    shrinkage,
    macroF1: (sums[place] ?? 0) / repeats,
  }))
  const best = heldOut.reduce((kept, each) => (each.macroF1 >= kept.macroF1 ? each : kept))
  return { shrinkage: best.shrinkage, heldOut }
}
