import type { HeadHyperparameters } from './fit-head.ts'
import type { StrategyName } from './strategies.ts'

/** What a strategy trains with unless told otherwise. */
export function defaultHyperparameters(strategy: StrategyName): HeadHyperparameters {
  const dense = strategy === 'frozen-dense'
  return {
    epochs: 60,
    batch: 32,
    learningRate: dense ? 2e-3 : 5e-3,
    weightDecay: 0.01,
    // A dense layer of 256 has 25 times the parameters and learns a small data set by heart.
    dropout: dense ? 0.4 : 0.1,
    warmup: 0.06,
    patience: 8,
    positiveWeightPower: 0,
    seed: 1,
  }
}
