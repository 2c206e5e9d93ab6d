import { LabelstreamError } from '../../core/errors.ts'
import type { GraphBuilder } from '../builder.ts'
import type { DifferentiableOp, Operators } from '../operators.ts'
import type { Shape } from '../shape.ts'
import type { Tensor } from '../tensor.ts'

/**
 * Operators that stand only in backward graphs. Differentiating them asks for GatherElements and GatherND, and
 * would only serve second derivatives.
 */
export type BackwardOnlyOp = 'ScatterElements' | 'ScatterND'

export type ForwardOp = Exclude<DifferentiableOp, BackwardOnlyOp>

/** What a rule sees: the application of an operator, and the gradient of the loss by its first output. */
export interface RuleContext<O extends ForwardOp> {
  readonly graph: GraphBuilder
  readonly inputs: Operators[O]['inputs']
  readonly outputs: Operators[O]['outputs']
  readonly attributes: Operators[O]['attributes']
  /** Same shape as the first output. */
  readonly grad: Tensor
}

/** Adds the nodes of one input's gradient; called only when that gradient is wanted. */
export type InputGradient = () => Tensor

/** How an operator passes a gradient back: one entry an input, undefined where none flows. */
export type GradientRule<O extends ForwardOp> = (
  context: RuleContext<O>,
) => readonly (InputGradient | undefined)[]

/** Sums a gradient over the axes that broadcasting repeated, back to an operand's shape. */
export function sumTo(graph: GraphBuilder, grad: Tensor, shape: Shape): Tensor {
  const extra = grad.shape.length - shape.length
  const leading = Array.from({ length: extra }, (_, axis) => axis)
  const kept = extra === 0 ? grad : graph.reduceSum(grad, leading, 0)
  const repeated = shape.flatMap((size, axis) => (size === 1 && kept.shape[axis] !== 1 ? [axis] : []))
  return repeated.length === 0 ? kept : graph.reduceSum(kept, repeated, 1)
}

/** A rank-0 constant of the tensor's own element type. */
export const scalarLike = (graph: GraphBuilder, tensor: Tensor, value: number): Tensor =>
  graph.scalar(value, tensor.type)

/** The tensor under a shape that is known to be its own, where inference could only name a formula. */
export const withShape = (tensor: Tensor, shape: Shape): Tensor => ({
  name: tensor.name,
  type: tensor.type,
  shape,
})

/** A shape or axes tensor's numbers. Throws INTERNAL when they are not known beforehand. */
export function knownIntegers(tensor: Tensor): readonly number[] {
  return (tensor.contents ?? [undefined]).map((value) => {
    if (typeof value === 'number') return value
    throw new LabelstreamError(
      'INTERNAL',
      `gradient: the contents of ${tensor.name} must be known beforehand`,
    )
  })
}
