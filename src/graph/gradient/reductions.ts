import type { GraphBuilder } from '../builder.ts'
import { normalAxis } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import type { GradientRule } from './rule.ts'
import { knownIntegers, scalarLike, sumTo } from './rule.ts'

type ReductionOp =
  | 'Softmax'
  | 'LogSoftmax'
  | 'LayerNormalization'
  | 'ReduceSum'
  | 'ReduceMean'
  | 'ReduceMax'
  | 'ReduceSumSquare'

export const reductionRules: { readonly [O in ReductionOp]: GradientRule<O> } = {
  Softmax: ({ graph, attributes: { axis }, outputs: [y], grad }) => [
    () => {
      const along = graph.reduceSum(graph.mul(grad, y), [axis], 1)
      return graph.mul(y, graph.sub(grad, along))
    },
  ],
  LogSoftmax: ({ graph, attributes: { axis }, outputs: [y], grad }) => [
    () => {
      const softmax = graph.apply('Exp', [y], {})[0]
      return graph.sub(grad, graph.mul(softmax, graph.reduceSum(grad, [axis], 1)))
    },
  ],
  // With n = (x - mean) / deviation and h = grad x scale: (h - mean(h) - n mean(h n)) / deviation
  // (Ba et al. 2016, differentiated).
  LayerNormalization: ({ graph, inputs: [x, scale, bias], outputs, grad }) => {
    const [, mean, inverseDeviation] = outputs
    const normal = (): Tensor => graph.mul(graph.sub(x, mean), inverseDeviation)
    const last = graph.integers([x.shape.length - 1])
    const meanOf = (values: Tensor): Tensor => graph.apply('ReduceMean', [values, last], { keepdims: 1 })[0]
    return [
      () => {
        const scaled = graph.mul(grad, scale)
        const normalised = normal()
        const alongNormal = graph.mul(normalised, meanOf(graph.mul(scaled, normalised)))
        const centred = graph.sub(graph.sub(scaled, meanOf(scaled)), alongNormal)
        return graph.mul(centred, inverseDeviation)
      },
      () => sumTo(graph, graph.mul(grad, normal()), scale.shape),
      () => sumTo(graph, grad, bias.shape),
    ]
  },
  ReduceSum: (context) => [() => spread(context, context.grad), undefined],
  ReduceMean: (context) => [
    () => context.graph.div(spread(context, context.grad), countOf(context)),
    undefined,
  ],
  // Equal maxima share the gradient.
  ReduceMax: (context) => [
    () => {
      const { graph, inputs, outputs, grad } = context
      const [x, axes] = inputs
      const equal = graph.apply('Equal', [x, spread(context, outputs[0])], {})[0]
      const winners = graph.cast(equal, x.type)
      const count = graph.reduceSum(winners, knownIntegers(axes), 1)
      return graph.mul(graph.div(winners, count), spread(context, grad))
    },
    undefined,
  ],
  ReduceSumSquare: (context) => [
    () => {
      const { graph, inputs } = context
      const twice = graph.mul(inputs[0], scalarLike(graph, inputs[0], 2))
      return graph.mul(twice, spread(context, context.grad))
    },
    undefined,
  ],
}

/** What all reductions have in common. */
interface Reduced {
  readonly graph: GraphBuilder
  readonly inputs: readonly [x: Tensor, axes: Tensor]
  readonly attributes: { readonly keepdims?: 0 | 1 }
}

/** Repeats a reduction's result (or gradient) over the axes that were reduced, to the shape of its input. */
function spread(
  { graph, inputs: [x, axes], attributes: { keepdims = 1 } }: Reduced,
  reduced: Tensor,
): Tensor {
  const kept = keepdims === 1 ? reduced : graph.apply('Unsqueeze', [reduced, axesOf(graph, x, axes)], {})[0]
  return graph.apply('Expand', [kept, graph.shape(x)], {})[0]
}

const axesOf = (graph: GraphBuilder, x: Tensor, axes: Tensor): Tensor =>
  graph.integers(knownIntegers(axes).map((axis) => normalAxis(axis, x.shape.length)))

/** The number of elements that went into one mean, as a float of rank 0. */
function countOf({ graph, inputs: [x, axes] }: Reduced): Tensor {
  const factors = knownIntegers(axes).map((axis) => {
    const size = x.shape[normalAxis(axis, x.shape.length)]
    if (typeof size === 'number') return scalarLike(graph, x, size)
    return graph.squeeze(graph.cast(graph.sizeOf(x, normalAxis(axis, x.shape.length)), x.type), [0])
  })
  return factors.reduce((product, factor) => graph.mul(product, factor))
}
