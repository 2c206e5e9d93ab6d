import type { GraphBuilder } from '../graph/builder.ts'
import type { Tensor } from '../graph/tensor.ts'
import { type AdamWScalars, adamWBetas } from './vector-arithmetic.ts'

export interface AdamWOptions {
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  /** Decoupled decay a step, times the learning rate. */
  readonly weightDecay: number
}

export const defaultAdamW: Omit<AdamWOptions, 'weightDecay'> = { ...adamWBetas, epsilon: 1e-8 }

/** One parameter's state before a step, or after it. All have the parameter's shape. */
export interface Moments {
  readonly parameter: Tensor
  readonly first: Tensor
  readonly second: Tensor
}

/** What changes from step to step; rank-0 inputs of the step graph. */
export interface StepScalars {
  readonly learningRate: Tensor
  /** 1 - beta1^step and 1 - beta2^step, step counted from 1. */
  readonly firstCorrection: Tensor
  readonly secondCorrection: Tensor
}

/**
 * AdamW (Loshchilov and Hutter 2019, algorithm 2) in plain operators:
 * p - lr (m^ / (sqrt(v^) + epsilon) + decay p).
 */
export function adamW(
  g: GraphBuilder,
  before: Moments,
  gradient: Tensor,
  scalars: StepScalars,
  { beta1, beta2, epsilon, weightDecay }: AdamWOptions,
): Moments {
  const blend = (old: Tensor, beta: number, fresh: Tensor): Tensor =>
    g.add(g.mul(old, g.scalar(beta)), g.mul(fresh, g.scalar(1 - beta)))
  const first = blend(before.first, beta1, gradient)
  const second = blend(before.second, beta2, g.mul(gradient, gradient))
  const deviation = g.apply('Sqrt', [g.div(second, scalars.secondCorrection)], {})[0]
  const direction = g.div(g.div(first, scalars.firstCorrection), g.add(deviation, g.scalar(epsilon)))
  const decayed =
    weightDecay === 0 ? direction : g.add(direction, g.mul(before.parameter, g.scalar(weightDecay)))
  const parameter = g.sub(before.parameter, g.mul(scalars.learningRate, decayed))
  return { parameter, first, second }
}

/** The corrections of step `step`, counted from 1. */
export const biasCorrections = (step: number, { beta1, beta2 } = defaultAdamW): [number, number] => [
  1 - beta1 ** step,
  1 - beta2 ** step,
]

/** The numbers of step `step`, counted from 1, at a learning rate; gradients count times `clip`. */
export function adamWScalars(
  step: number,
  { rate, weightDecay, clip }: { readonly rate: number; readonly weightDecay: number; readonly clip: number },
): AdamWScalars {
  const [firstCorrection, secondCorrection] = biasCorrections(step)
  const root = Math.sqrt(secondCorrection)
  return {
    clip,
    keep: 1 - rate * weightDecay,
    rate: (rate * root) / firstCorrection,
    epsilon: defaultAdamW.epsilon * root,
  }
}
