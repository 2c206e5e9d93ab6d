import type { GraphBuilder } from '../builder.ts'
import type { Tensor } from '../tensor.ts'
import type { ForwardOp, GradientRule } from './rule.ts'
import { scalarLike, sumTo } from './rule.ts'

type ElementwiseOp =
  | 'Add'
  | 'Sub'
  | 'Mul'
  | 'Div'
  | 'Pow'
  | 'Max'
  | 'Min'
  | 'Neg'
  | 'Abs'
  | 'Sqrt'
  | 'Reciprocal'
  | 'Exp'
  | 'Log'
  | 'Erf'
  | 'Tanh'
  | 'Sigmoid'
  | 'Softplus'
  | 'Relu'
  | 'Gelu'
  | 'Identity'
  | 'Cast'
  | 'Where'

const negate = (graph: GraphBuilder, x: Tensor): Tensor => graph.apply('Neg', [x], {})[0]
const exponential = (graph: GraphBuilder, x: Tensor): Tensor => graph.apply('Exp', [x], {})[0]
const square = (graph: GraphBuilder, x: Tensor): Tensor => graph.mul(x, x)
const scale = (graph: GraphBuilder, x: Tensor, factor: number): Tensor =>
  graph.mul(x, scalarLike(graph, x, factor))

/** `x` where the condition holds, 0 elsewhere. */
const onlyWhere = (graph: GraphBuilder, condition: Tensor, x: Tensor): Tensor =>
  graph.apply('Where', [condition, x, scalarLike(graph, x, 0)], {})[0]

/** For Max and Min: the operand that was taken gets the gradient; of equal ones, the first. */
const chosen =
  <O extends 'Max' | 'Min'>(comparison: 'GreaterOrEqual' | 'LessOrEqual'): GradientRule<O> =>
  ({ graph, inputs: [a, b], grad }) => {
    const taken = (): Tensor => graph.apply(comparison, [a, b], {})[0]
    const notTaken = (): Tensor => graph.apply('Not', [taken()], {})[0]
    return [
      () => sumTo(graph, onlyWhere(graph, taken(), grad), a.shape),
      () => sumTo(graph, onlyWhere(graph, notTaken(), grad), b.shape),
    ]
  }

export const elementwiseRules: { readonly [O in ElementwiseOp & ForwardOp]: GradientRule<O> } = {
  Add: ({ graph, inputs: [a, b], grad }) => [
    () => sumTo(graph, grad, a.shape),
    () => sumTo(graph, grad, b.shape),
  ],
  Sub: ({ graph, inputs: [a, b], grad }) => [
    () => sumTo(graph, grad, a.shape),
    () => negate(graph, sumTo(graph, grad, b.shape)),
  ],
  Mul: ({ graph, inputs: [a, b], grad }) => [
    () => sumTo(graph, graph.mul(grad, b), a.shape),
    () => sumTo(graph, graph.mul(grad, a), b.shape),
  ],
  Div: ({ graph, inputs: [a, b], outputs: [y], grad }) => [
    () => sumTo(graph, graph.div(grad, b), a.shape),
    () => negate(graph, sumTo(graph, graph.div(graph.mul(grad, y), b), b.shape)),
  ],
  Pow: ({ graph, inputs: [x, exponent], outputs: [y], grad }) => [
    () => {
      const less = graph.sub(exponent, scalarLike(graph, exponent, 1))
      const power = graph.apply('Pow', [x, less], {})[0]
      return sumTo(graph, graph.mul(grad, graph.mul(exponent, power)), x.shape)
    },
    () => sumTo(graph, graph.mul(grad, graph.mul(y, graph.apply('Log', [x], {})[0])), exponent.shape),
  ],
  Max: chosen('GreaterOrEqual'),
  Min: chosen('LessOrEqual'),

  Neg: ({ graph, grad }) => [() => negate(graph, grad)],
  Abs: ({ graph, inputs: [x], grad }) => [() => graph.mul(grad, graph.apply('Sign', [x], {})[0])],
  Sqrt: ({ graph, outputs: [y], grad }) => [() => graph.div(scale(graph, grad, 0.5), y)],
  Reciprocal: ({ graph, outputs: [y], grad }) => [() => negate(graph, graph.mul(grad, square(graph, y)))],
  Exp: ({ graph, outputs: [y], grad }) => [() => graph.mul(grad, y)],
  Log: ({ graph, inputs: [x], grad }) => [() => graph.div(grad, x)],
  Erf: ({ graph, inputs: [x], grad }) => [
    () => {
      const bell = exponential(graph, negate(graph, square(graph, x)))
      return graph.mul(grad, scale(graph, bell, 2 / Math.sqrt(Math.PI)))
    },
  ],
  Tanh: ({ graph, outputs: [y], grad }) => [
    () => graph.mul(grad, graph.sub(scalarLike(graph, y, 1), square(graph, y))),
  ],
  Sigmoid: ({ graph, outputs: [y], grad }) => [
    () => graph.mul(grad, graph.mul(y, graph.sub(scalarLike(graph, y, 1), y))),
  ],
  Softplus: ({ graph, inputs: [x], grad }) => [() => graph.mul(grad, graph.sigmoid(x))],
  Relu: ({ graph, inputs: [x], grad }) => [
    () => onlyWhere(graph, graph.apply('Greater', [x, scalarLike(graph, x, 0)], {})[0], grad),
  ],
  Gelu: ({ graph, inputs: [x], attributes: { approximate = 'none' }, grad }) => [
    () => graph.mul(grad, approximate === 'tanh' ? tanhGeluSlope(graph, x) : geluSlope(graph, x)),
  ],
  Identity: ({ grad }) => [() => grad],
  Cast: ({ graph, inputs: [x], grad }) => [() => graph.cast(grad, x.type)],
  Where: ({ graph, inputs: [condition, a, b], grad }) => [
    undefined,
    () => sumTo(graph, onlyWhere(graph, condition, grad), a.shape),
    () => sumTo(graph, onlyWhere(graph, graph.apply('Not', [condition], {})[0], grad), b.shape),
  ],
}

/** d/dx of x Phi(x) = Phi(x) + x phi(x), with the normal distribution function Phi and density phi. */
function geluSlope(graph: GraphBuilder, x: Tensor): Tensor {
  const erf = graph.apply('Erf', [scale(graph, x, Math.SQRT1_2)], {})[0]
  const distribution = graph.add(scale(graph, erf, 0.5), scalarLike(graph, x, 0.5))
  const bell = exponential(graph, scale(graph, square(graph, x), -0.5))
  return graph.add(distribution, graph.mul(x, scale(graph, bell, 1 / Math.sqrt(2 * Math.PI))))
}

/** d/dx of 0.5 x (1 + tanh(c (x + 0.044715 x^3))), c = sqrt(2 / pi) (Hendrycks and Gimpel 2016). */
function tanhGeluSlope(graph: GraphBuilder, x: Tensor): Tensor {
  const c = Math.sqrt(2 / Math.PI)
  const one = scalarLike(graph, x, 1)
  const squared = square(graph, x)
  const inner = graph.mul(x, graph.add(scale(graph, squared, 0.044715 * c), scalarLike(graph, x, c)))
  const tanh = graph.tanh(inner)
  const innerSlope = graph.add(scale(graph, squared, 3 * 0.044715 * c), scalarLike(graph, x, c))
  const curved = graph.mul(graph.mul(x, graph.sub(one, square(graph, tanh))), innerSlope)
  return scale(graph, graph.add(graph.add(one, tanh), curved), 0.5)
}
