import { LabelstreamError } from '../core/errors.ts'
import { flagOf } from '../settings/declare.ts'
import type { HyperparameterChanges } from '../train/training-run.ts'
import type { CommandOption, OptionValues } from './command.ts'
import { numberOption, optionalOption } from './output.ts'

/** What can be changed about training; a strategy leaves out what it does not have. */
export const hyperparameterOptions: readonly CommandOption[] = [
  { flags: '--epochs <count>', help: 'most passes over the data' },
  { flags: '--batch <rows>', help: 'rows of one step' },
  { flags: '--learning-rate <rate>', help: 'peak learning rate; of the encoder where that is trained' },
  { flags: '--head-learning-rate <rate>', help: 'peak learning rate of the head beside a trained encoder' },
  { flags: '--layer-decay <factor>', help: "times the encoder's rate for each layer further down" },
  { flags: '--frozen-layers <count>', help: 'lowest encoder layers that stay as they are' },
  { flags: '--weight-decay <factor>', help: 'decay of weights a step, times the rate' },
  { flags: '--dropout <rate>', help: 'share of numbers that training leaves out' },
  { flags: '--token-dropout <share>', help: "share of a text's tokens that a step does not see" },
  { flags: '--decay <shape>', help: 'how the rates fall after warm-up: linear or cosine' },
  { flags: '--loss <name>', help: 'bce, focal or asymmetric' },
  { flags: '--label-smoothing <share>', help: 'moves targets towards one half' },
  {
    flags: '--positive-weight-power <power>',
    help: 'weighs positives by (negatives / positives) to this power (default 0.05 where an encoder is trained, else 0)',
  },
  {
    flags: '--average-decay <factor>',
    help: 'keeps a moving average of the weights, this much of it staying every tenth step (default 0.96); 0 does not',
  },
  { flags: '--patience <epochs>', help: 'epochs without a better dev score after which training stops' },
  { flags: '--seed <number>', help: 'seed of order, initial values and dropout' },
]

const numbers = {
  epochs: { min: 1, max: 10_000, integer: true },
  batch: { min: 1, max: 1_000_000, integer: true },
  learningRate: { min: 1e-9, max: 10 },
  headLearningRate: { min: 1e-9, max: 10 },
  layerDecay: { min: 0.01, max: 1 },
  frozenLayers: { min: 0, max: 1_000, integer: true },
  weightDecay: { min: 0, max: 1 },
  dropout: { min: 0, max: 0.9 },
  tokenDropout: { min: 0, max: 0.9 },
  labelSmoothing: { min: 0, max: 0.9 },
  positiveWeightPower: { min: 0, max: 1 },
  averageDecay: { min: 0, max: 0.9999 },
  patience: { min: 1, max: 10_000, integer: true },
  seed: { min: 0, max: 2 ** 31 - 1, integer: true },
} as const satisfies Partial<Record<keyof HyperparameterChanges, object>>

/** The changes named on the command line. Throws USAGE. */
export function hyperparametersOf(options: OptionValues): HyperparameterChanges {
  const given = Object.entries(numbers).flatMap(([name, limits]) => {
    const value = numberOption(options, name, limits)
    return value === undefined ? [] : [[name, value] as const]
  })
  const decay = choiceOption(options, 'decay', ['linear', 'cosine'])
  const loss = choiceOption(options, 'loss', ['bce', 'focal', 'asymmetric'])
  return {
    ...Object.fromEntries(given),
    ...(decay === undefined ? {} : { decay }),
    ...(loss === undefined ? {} : { loss }),
  }
}

/** One of several words. Throws USAGE naming them. */
export function choiceOption<T extends string>(
  options: OptionValues,
  name: string,
  choices: readonly T[],
): T | undefined {
  const text = optionalOption(options, name)
  const choice = choices.find((each) => each === text)
  if (text === undefined || choice !== undefined) return choice
  throw new LabelstreamError('USAGE', `${flagOf(name)}: ${text} is none of ${choices.join(', ')}`)
}
