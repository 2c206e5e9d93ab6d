import {
  type CalibrationKind,
  calibrate,
  expectedProbabilities,
  fitCalibrators,
} from '../evaluation/calibrators.ts'
import type { Matrix } from '../evaluation/matrix.ts'
import { chooseShrinkage } from '../evaluation/threshold-shrinkage.ts'
import { type Metrics, evaluateScores } from '../evaluation/metrics.ts'
import { type ThresholdPolicy, type TunedPolicy, chooseThresholds } from '../evaluation/thresholds.ts'
import type { Decision } from '../models/decision.ts'

export interface DecisionOptions {
  readonly calibration: CalibrationKind
  readonly thresholds: ThresholdPolicy
  /** F1 thresholds: choose the shrinkage by cross-validation on the dev part, instead of the policy's own. */
  readonly chooseShrinkage: boolean
}

/** Of every policy that is not fixed, unless told otherwise. */
export const tunedDefaults = { minPositives: 5, shrinkage: 30 } as const

export const defaultDecisionOptions: DecisionOptions = {
  // It leaves decisions at 0.5 as the model has them; platt is a little nearer to true frequencies.
  calibration: 'temperature',
  thresholds: { kind: 'f-beta', beta: 1, ...tunedDefaults },
  chooseShrinkage: true,
}

/** Calibrators, then thresholds of the calibrated scores, both fitted on `[rows, labels]` fp32 logits of the dev part. */
export function fitDecision(
  labels: readonly string[],
  logits: Matrix,
  targets: Matrix,
  options: DecisionOptions,
): Decision {
  const { calibration } = options
  const thresholds = settledPolicy(logits, targets, options)
  const calibrators = fitCalibrators(logits, targets, calibration)
  const scores = calibrate(logits, calibrators)
  const chosen = chooseThresholds(scores, targets, thresholds, expectedProbabilities(logits, targets))
  return {
    format: 1,
    precision: 'fp32',
    calibration,
    thresholdPolicy: policyText(thresholds),
    labels: labels.map((label, column) => ({
      label,
      threshold: chosen[column]?.threshold ?? 0.5,
      pooled: chosen[column]?.pooled ?? false,
      calibrator: calibrators[column] ?? { slope: 1, intercept: 0 },
    })),
  }
}

function settledPolicy(logits: Matrix, targets: Matrix, options: DecisionOptions): ThresholdPolicy {
  const { calibration, thresholds } = options
  const judgedByF1 = thresholds.kind === 'f-beta' && thresholds.beta === 1
  if (!judgedByF1 || !options.chooseShrinkage) return thresholds
  const { shrinkage } = chooseShrinkage(logits, targets, calibration, thresholds)
  return { ...thresholds, shrinkage }
}

/** Each label's best F1 on these very rows: what is often published, and more than new rows will give. */
export function bestOnTheseRows(scores: Matrix, targets: Matrix, labels: readonly string[]): BestOnRows {
  const policy = { kind: 'f-beta', beta: 1, minPositives: 1, shrinkage: 0 } as const
  const thresholds = chooseThresholds(scores, targets, policy).map(({ threshold }) => threshold)
  const { macroF1, microF1 } = evaluateScores(scores, targets, labels, thresholds)
  return { macroF1, microF1 }
}

export type BestOnRows = Pick<Metrics, 'macroF1' | 'microF1'>

function policyText(policy: ThresholdPolicy): string {
  switch (policy.kind) {
    case 'fixed':
      return `fixed ${policy.value}`
    case 'f-beta':
      return `highest F-${policy.beta} on the dev part (${detailsOf(policy)})`
    case 'precision':
      return `lowest with precision ${policy.target} on the dev part (${detailsOf(policy)})`
  }
}

function detailsOf({ minPositives, shrinkage }: TunedPolicy): string {
  const pull =
    shrinkage === 0
      ? 'by the targets alone'
      : shrinkage === Infinity
        ? 'by the calibrated scores alone'
        : `pulled to what the calibrated scores expect with the weight of ${shrinkage} positives`
  return `${pull}; pooled over labels below ${minPositives} positives`
}
