import type { GraphBuilder } from '../graph/builder.ts'
import type { Tensor } from '../graph/tensor.ts'

export interface LossInputs {
  /** [rows, labels] */
  readonly logits: Tensor
  /** [rows, labels], 0..1; anything where the mask is 0. */
  readonly targets: Tensor
  /** [rows, labels], 1 where the target is known, else 0. */
  readonly mask: Tensor
  /** [labels], weight of positives. */
  readonly positiveWeight: Tensor
}

/**
 * Binary cross-entropy with logits, averaged over the known cells, of rank 0:
 * (1 - t) x + (1 + (w - 1) t) softplus(-x), as PyTorch's BCEWithLogitsLoss with `pos_weight`. softplus(-x) is
 * written softplus(x) - x; neither overflows. An empty mask gives 0.
 */
export function binaryCrossEntropy(
  g: GraphBuilder,
  { logits, targets, mask, positiveWeight }: LossInputs,
): Tensor {
  const one = g.scalar(1)
  const negative = g.mul(g.sub(one, targets), logits)
  const weight = g.add(one, g.mul(g.sub(positiveWeight, one), targets))
  const softplus = g.apply('Softplus', [logits], {})[0]
  const cells = g.add(negative, g.mul(weight, g.sub(softplus, logits)))
  const sum = g.reduceSum(g.mul(cells, mask), [0, 1], 0)
  return g.div(sum, g.max(g.reduceSum(mask, [0, 1], 0), one))
}
