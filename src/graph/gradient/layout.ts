import { LabelstreamError } from '../../core/errors.ts'
import type { GraphBuilder } from '../builder.ts'
import { normalAxis } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import type { GradientRule } from './rule.ts'
import { knownIntegers, sumTo, withShape } from './rule.ts'

type LayoutOp = 'Reshape' | 'Transpose' | 'Expand' | 'Squeeze' | 'Unsqueeze' | 'Concat' | 'Slice' | 'Gather'

export const layoutRules: { readonly [O in LayoutOp]: GradientRule<O> } = {
  Reshape: ({ graph, inputs: [x], grad }) => [
    () => withShape(graph.reshape(grad, graph.shape(x)), x.shape),
    undefined,
  ],
  Transpose: ({ graph, attributes: { perm }, grad }) => [() => graph.transpose(grad, inverse(perm))],
  Expand: ({ graph, inputs: [x], grad }) => [() => sumTo(graph, grad, x.shape), undefined],
  Squeeze: ({ graph, inputs: [, axes], grad }) => [
    () => graph.apply('Unsqueeze', [grad, axes], {})[0],
    undefined,
  ],
  Unsqueeze: ({ graph, inputs: [, axes], grad }) => [
    () => graph.apply('Squeeze', [grad, axes], {})[0],
    undefined,
  ],

  Concat: ({ graph, inputs, attributes: { axis }, grad }) =>
    inputs.map((input, index) => () => {
      const place = normalAxis(axis, input.shape.length)
      const zero = graph.integers([0])
      const start = inputs
        .slice(0, index)
        .reduce((sum, other) => graph.add(sum, graph.sizeOf(other, place)), zero)
      const end = graph.add(start, graph.sizeOf(input, place))
      return withShape(graph.slice(grad, place, start, end), input.shape)
    }),

  Slice: ({ graph, inputs: [x, starts, , axes, steps], outputs: [y], grad }) => [
    () => {
      const [axis, ...moreAxes] = knownIntegers(axes)
      if (axis === undefined || moreAxes.length > 0 || knownIntegers(steps)[0] !== 1) {
        throw new LabelstreamError('INTERNAL', `gradient: ${y.name} slices several axes or with a step`)
      }
      const place = normalAxis(axis, x.shape.length)
      const [start] = starts.contents ?? []
      const fromFront =
        typeof start === 'number' && start < 0 ? graph.add(graph.sizeOf(x, place), starts) : starts
      const end = graph.add(fromFront, graph.sizeOf(grad, place))
      const one = graph.scalar(1, 'int64')
      const limits = [graph.squeeze(fromFront, [0]), graph.squeeze(end, [0]), one] as const
      return scatterAlong(graph, x, place, graph.apply('Range', limits, {})[0], grad)
    },
    undefined,
    undefined,
    undefined,
    undefined,
  ],

  Gather: ({ graph, inputs: [x, indices], attributes: { axis }, grad }) => [
    () => scatterAlong(graph, x, normalAxis(axis, x.shape.length), indices, grad),
    undefined,
  ],
}

const inverse = (perm: readonly number[]): number[] => perm.map((_axis, place) => perm.indexOf(place))

/**
 * Zeros in the shape of `x`, with `grad` added at the indices along one axis: rows picked several times add up.
 * ScatterND works on leading axes, so the axis goes to the front and back.
 */
function scatterAlong(graph: GraphBuilder, x: Tensor, axis: number, indices: Tensor, grad: Tensor): Tensor {
  const front = [axis, ...x.shape.map((_size, index) => index).filter((index) => index !== axis)]
  const rank = indices.shape.length
  const picked = Array.from({ length: rank }, (_, index) => axis + index)
  const rest = grad.shape.map((_size, index) => index).filter((index) => !picked.includes(index))
  const updates = axis === 0 ? grad : graph.transpose(grad, [...picked, ...rest])
  const shape = graph.gather(graph.shape(x), graph.integers(front), 0)
  const zeros = graph.apply('ConstantOfShape', [shape], { value: 0, type: x.type })[0]
  const rows = graph.unsqueeze(graph.cast(indices, 'int64'), [rank])
  const summed = graph.apply('ScatterND', [zeros, rows, updates], { reduction: 'add' })[0]
  return withShape(axis === 0 ? summed : graph.transpose(summed, inverse(front)), x.shape)
}
