import type { LossKind } from './training-loss.ts'

/** How a whole encoder is trained. */
export interface EncoderHyperparameters {
  readonly epochs: number
  /** Rows of one optimiser step. */
  readonly batch: number
  /** Peak rate of the encoder's top layer. */
  readonly learningRate: number
  /** Peak rate of the head, which starts from nothing. */
  readonly headLearningRate: number
  /** Times the rate for each layer further down. */
  readonly layerDecay: number
  /** The lowest layers that stay as they are, the embeddings with them; 0 trains everything. */
  readonly frozenLayers: number
  readonly weightDecay: number
  /** Longest gradient; longer ones are scaled down to it. 0 does not clip. */
  readonly clipNorm: number
  readonly dropout: number
  /** Share of a text's tokens that a step does not see; others from step to step. */
  readonly tokenDropout: number
  readonly decay: 'linear' | 'cosine'
  /** Part of all steps in which the rates rise. */
  readonly warmup: number
  readonly loss: LossKind['kind']
  /** Targets move this far towards 1/2: t (1 - s) + s / 2. */
  readonly labelSmoothing: number
  /** Weight of positives in the loss: 1, or (negatives / positives) to this power. */
  readonly positiveWeightPower: number
  /** Weights are averaged over every tenth step, oftener in a short training; this much of the old average stays, 0 does not average. */
  readonly averageDecay: number
  /** Epochs without a better dev score after which training stops. */
  readonly patience: number
  /** Most padded tokens that go through the encoder at once: bounds memory; longer batches are cut into parts. */
  readonly budgetTokens: number
  readonly seed: number
}

/** As the measurements on GoEmotions with MiniLM-L6 had it. */
export const defaultEncoderHyperparameters: EncoderHyperparameters = {
  epochs: 2,
  batch: 32,
  learningRate: 1.5e-4,
  headLearningRate: 1e-3,
  layerDecay: 1,
  frozenLayers: 0,
  weightDecay: 0.01,
  clipNorm: 1,
  dropout: 0.1,
  tokenDropout: 0,
  decay: 'linear',
  warmup: 0.08,
  loss: 'bce',
  labelSmoothing: 0,
  positiveWeightPower: 0.05,
  averageDecay: 0.96,
  patience: 3,
  budgetTokens: 2_048,
  seed: 1,
}

/** Steps that an encoder needs to turn to its new task; data sets that are small get more epochs for it. */
const enoughSteps = 600

/** Passes over the data unless told otherwise: 2, and up to 12 where that is few steps. */
export const defaultEpochs = (stepsPerEpoch: number): number =>
  Math.min(12, Math.max(defaultEncoderHyperparameters.epochs, Math.ceil(enoughSteps / stepsPerEpoch)))

/** The loss by its name, with the parameters of the papers. */
export function lossOf(kind: LossKind['kind']): LossKind {
  switch (kind) {
    case 'bce':
      return { kind }
    case 'focal':
      return { kind, gamma: 2 }
    case 'asymmetric':
      return { kind, gammaPositive: 0, gammaNegative: 4, margin: 0.05 }
  }
}
