import type { GraphBuilder } from '../graph/builder.ts'
import type { Tensor } from '../graph/tensor.ts'
import type { LossInputs } from './loss.ts'

/** A loss over a part of a batch: cells are summed and multiplied, so that the losses of the parts add up. */
export interface SummedLossInputs extends LossInputs {
  /** Rank 0; labels / known cells of the whole batch. */
  readonly scale: Tensor
}

/** What is minimised. All take soft targets and a mask of known cells. */
export type LossKind =
  | { readonly kind: 'bce' }
  /** Lin et al. 2017, arXiv:1708.02002, without alpha: (1 - p_t)^gamma times the cross-entropy. */
  | { readonly kind: 'focal'; readonly gamma: number }
  /** Ridnik et al. 2021, arXiv:2009.14119: own powers for positives and negatives, negatives' p lowered by `margin`. */
  | {
      readonly kind: 'asymmetric'
      readonly gammaPositive: number
      readonly gammaNegative: number
      readonly margin: number
    }

/**
 * The loss of a batch, rank 0: with the usual scale the mean over known cells times the number of labels, so that
 * it is a sum over labels and its gradient does not shrink with their number; clipping by norm then means the
 * same for any model.
 */
export function trainingLoss(g: GraphBuilder, loss: LossKind, inputs: SummedLossInputs): Tensor {
  const { logits, targets, mask, positiveWeight, scale } = inputs
  const one = g.scalar(1)
  const softplus = (x: Tensor): Tensor => g.apply('Softplus', [x], {})[0]
  // -log p and -log (1 - p), neither of which overflows
  const surprise = softplus(g.apply('Neg', [logits], {})[0])
  const opposite = softplus(logits)
  const weighted = g.mul(positiveWeight, targets)
  const rest = g.sub(one, targets)
  const power = (x: Tensor, exponent: number): Tensor =>
    // kept off 0, where a power below 1 has no slope
    exponent === 0 ? one : g.apply('Pow', [g.max(x, g.scalar(1e-6)), g.scalar(exponent)], {})[0]

  const cells = (): Tensor => {
    if (loss.kind === 'bce') return g.add(g.mul(weighted, surprise), g.mul(rest, opposite))
    const probability = g.sigmoid(logits)
    if (loss.kind === 'focal') {
      const positives = g.mul(power(g.sub(one, probability), loss.gamma), surprise)
      const negatives = g.mul(power(probability, loss.gamma), opposite)
      return g.add(g.mul(weighted, positives), g.mul(rest, negatives))
    }
    const lowered = g.max(g.sub(probability, g.scalar(loss.margin)), g.scalar(0))
    const missed = g.apply('Neg', [g.apply('Log', [g.sub(g.scalar(1 + 1e-7), lowered)], {})[0]], {})[0]
    const positives = g.mul(power(g.sub(one, probability), loss.gammaPositive), surprise)
    const negatives = g.mul(power(lowered, loss.gammaNegative), missed)
    return g.add(g.mul(weighted, positives), g.mul(rest, negatives))
  }
  return g.mul(g.reduceSum(g.mul(cells(), mask), [0, 1], 0), scale)
}
