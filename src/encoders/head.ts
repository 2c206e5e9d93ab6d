import type { GraphBuilder } from '../graph/builder.ts'
import type { Tensor } from '../graph/tensor.ts'
import { activate } from './activation.ts'
import type { ModelParts } from './bert.ts'
import type { ModelConfig } from './config.ts'

/**
 * One vector a text, [batch, hidden], from token vectors [batch, sequence, hidden].
 * - mean: over the tokens that are there (as sentence-transformers does);
 * - cls: the first token's vector as it is;
 * - pooler: the first token's vector through a dense layer and tanh, as BertPooler.
 */
export function pool(
  g: GraphBuilder,
  config: ModelConfig,
  parts: ModelParts,
  hidden: Tensor,
  attentionMask: Tensor,
): Tensor {
  if (config.pooling === 'mean') {
    const mask = g.unsqueeze(g.cast(attentionMask, 'float32'), [2])
    const sum = g.reduceSum(g.mul(hidden, mask), [1], 0)
    // A row without tokens is padding of the batch: 0, not a division by 0.
    return g.div(sum, g.max(g.reduceSum(mask, [1], 0), g.scalar(1)))
  }
  const first = g.gather(hidden, g.scalar(0, 'int64'), 1)
  if (config.pooling === 'cls') return first
  const weight = parts.parameter('bert.pooler.dense.weight')
  return g.tanh(g.linear(first, weight, parts.parameter('bert.pooler.dense.bias')))
}

/** Logits [batch, labels] of pooled vectors [batch, hidden]: dense layers with an activation, then a linear one. */
export function classify(g: GraphBuilder, config: ModelConfig, parts: ModelParts, pooled: Tensor): Tensor {
  const linear = (x: Tensor, name: string): Tensor =>
    g.linear(parts.dropout(x, 'head'), parts.parameter(`${name}.weight`), parts.parameter(`${name}.bias`))
  const last = config.headHiddenSizes.reduce(
    (x, _size, index) => activate(g, config.headActivation, linear(x, `head.${index}`)),
    pooled,
  )
  return linear(last, 'classifier')
}
