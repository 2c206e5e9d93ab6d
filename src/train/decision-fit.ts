import { type CalibrationKind, calibrate, fitCalibrators } from '../evaluation/calibrators.ts'
import type { Matrix } from '../evaluation/matrix.ts'
import { type ThresholdPolicy, chooseThresholds } from '../evaluation/thresholds.ts'
import type { Decision } from '../models/decision.ts'

export interface DecisionOptions {
  readonly calibration: CalibrationKind
  readonly thresholds: ThresholdPolicy
}

export const defaultDecisionOptions: DecisionOptions = {
  calibration: 'platt',
  thresholds: { kind: 'f-beta', beta: 1, minPositives: 10 },
}

/** Calibrators, then thresholds of the calibrated scores, both fitted on `[rows, labels]` fp32 logits of the dev part. */
export function fitDecision(
  labels: readonly string[],
  logits: Matrix,
  targets: Matrix,
  { calibration, thresholds }: DecisionOptions,
): Decision {
  const calibrators = fitCalibrators(logits, targets, calibration)
  const chosen = chooseThresholds(calibrate(logits, calibrators), targets, thresholds)
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

function policyText(policy: ThresholdPolicy): string {
  switch (policy.kind) {
    case 'fixed':
      return `fixed ${policy.value}`
    case 'f-beta':
      return `highest F-${policy.beta} on the dev part (pooled below ${policy.minPositives} positives)`
    case 'precision':
      return `lowest with precision ${policy.target} on the dev part (pooled below ${policy.minPositives} positives)`
  }
}
