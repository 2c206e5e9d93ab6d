import {
  type CalibrationKind,
  calibrate,
  fitCalibrators,
  plattProbabilities,
} from '../evaluation/calibrators.ts'
import type { Matrix } from '../evaluation/matrix.ts'
import { chooseShrinkage } from '../evaluation/threshold-shrinkage.ts'
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
  const chosen = chooseThresholds(scores, targets, thresholds, plattProbabilities(logits, targets))
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
