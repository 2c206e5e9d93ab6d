import type { GraphBuilder } from '../builder.ts'
import { sizeAt } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import type { GradientRule } from './rule.ts'
import { scalarLike, sumTo } from './rule.ts'

export const productRules: { readonly [O in 'MatMul' | 'Gemm']: GradientRule<O> } = {
  MatMul: ({ graph, inputs: [a, b], grad }) => [
    () => sumTo(graph, graph.matMul(grad, swapLastTwo(graph, b)), a.shape),
    () => (b.shape.length === 2 ? flatProduct(graph, a, grad) : batchedProduct(graph, a, b, grad)),
  ],

  // y = alpha A' B' + beta C, where A' and B' are A and B, transposed when transA and transB say so.
  Gemm: ({ graph, inputs: [a, b, c], attributes, grad }) => {
    const { alpha = 1, beta = 1, transA = 0, transB = 0 } = attributes
    const product = (left: Tensor, right: Tensor, flips: { transA: 0 | 1; transB: 0 | 1 }): Tensor =>
      graph.apply('Gemm', [left, right, undefined], alpha === 1 ? flips : { ...flips, alpha })[0]
    return [
      () =>
        transA === 1
          ? product(b, grad, { transA: transB, transB: 1 })
          : product(grad, b, { transA: 0, transB: transB === 1 ? 0 : 1 }),
      () =>
        transB === 1
          ? product(grad, a, { transA: 1, transB: transA })
          : product(a, grad, { transA: transA === 1 ? 0 : 1, transB: 0 }),
      c === undefined
        ? undefined
        : () => {
            const summed = sumTo(graph, grad, c.shape)
            return beta === 1 ? summed : graph.mul(summed, scalarLike(graph, summed, beta))
          },
    ]
  },
}

function swapLastTwo(graph: GraphBuilder, x: Tensor): Tensor {
  const axes = x.shape.map((_size, axis) => axis)
  const rank = axes.length
  return graph.transpose(x, [...axes.slice(0, rank - 2), rank - 1, rank - 2])
}

/** A weight matrix's gradient: one matrix product over all rows, instead of one a batch and a sum. */
function flatProduct(graph: GraphBuilder, a: Tensor, grad: Tensor): Tensor {
  const rows = (x: Tensor): Tensor => {
    const width = sizeAt(x.shape, -1)
    if (x.shape.length === 2) return x
    return typeof width === 'number'
      ? graph.reshape(x, [-1, width])
      : graph.reshape(x, graph.concat([graph.integers([-1]), graph.sizeOf(x, x.shape.length - 1)], 0))
  }
  return graph.apply('Gemm', [rows(a), rows(grad), undefined], { transA: 1 })[0]
}

const batchedProduct = (graph: GraphBuilder, a: Tensor, b: Tensor, grad: Tensor): Tensor =>
  sumTo(graph, graph.matMul(swapLastTwo(graph, a), grad), b.shape)
