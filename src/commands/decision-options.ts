import { LabelstreamError } from '../core/errors.ts'
import type { CalibrationKind } from '../evaluation/calibrators.ts'
import type { ThresholdPolicy } from '../evaluation/thresholds.ts'
import { type DecisionOptions, defaultDecisionOptions, tunedDefaults } from '../train/decision-fit.ts'
import type { CommandOption, OptionValues } from './command.ts'
import { numberOption, optionalOption } from './output.ts'
import { choiceOption } from './training-options.ts'

/** How a trained model's logits become probabilities and decisions. */
export const decisionOptionFlags: readonly CommandOption[] = [
  { flags: '--calibration <kind>', help: 'temperature (default), platt or none' },
  {
    flags: '--thresholds <policy>',
    help: 'f1 (default), f0.5, f2, precision=0.9 (lowest that reaches it), or one for all labels such as 0.5',
  },
  {
    flags: '--threshold-shrinkage <positives>',
    help: "weight of the calibrated scores against the dev part's own targets (default for f1: by cross-validation)",
  },
]

const calibrations = ['none', 'temperature', 'platt'] as const satisfies readonly CalibrationKind[]

/** The decision options named on the command line. Throws USAGE. */
export function decisionOptionsOf(options: OptionValues): DecisionOptions {
  const shrinkage = numberOption(options, 'thresholdShrinkage', { min: 0, max: 1e9 })
  const policy = thresholdPolicyOf(optionalOption(options, 'thresholds') ?? 'f1')
  return {
    calibration: choiceOption(options, 'calibration', calibrations) ?? defaultDecisionOptions.calibration,
    thresholds: policy.kind === 'fixed' || shrinkage === undefined ? policy : { ...policy, shrinkage },
    chooseShrinkage: shrinkage === undefined,
  }
}

function thresholdPolicyOf(text: string): ThresholdPolicy {
  const [, kind, digits] = /^(f|precision=|)(\d+(?:\.\d+)?|\.\d+)$/.exec(text) ?? []
  const number = Number(digits)
  if (kind === 'f' && number > 0 && number <= 10) return { kind: 'f-beta', beta: number, ...tunedDefaults }
  if (kind === 'precision=' && number > 0 && number <= 1) {
    return { kind: 'precision', target: number, ...tunedDefaults }
  }
  if (kind === '' && number <= 1) return { kind: 'fixed', value: number }
  throw new LabelstreamError(
    'USAGE',
    `--thresholds: ${text} is none of f1 (or another F-beta), precision=0.9, or a number from 0 to 1`,
  )
}
