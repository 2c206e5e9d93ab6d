import { LabelstreamError } from '../../core/errors.ts'
import type { GraphBuilder } from '../builder.ts'
import type { AnyNode } from '../operators.ts'
import type { Tensor } from '../tensor.ts'
import type { ForwardOp, GradientRule, InputGradient } from './rule.ts'
import { gradientRules } from './table.ts'

/**
 * Adds the backward pass to a graph: the gradients of `loss` (one element) by each of `targets`, in their order
 * and shapes. Reverse-mode differentiation over the nodes built so far; the loss must be declared as an output
 * before, since only nodes that an output needs are part of the graph.
 * Throws INTERNAL when a target does not reach the loss or an operator on the way has no rule.
 */
export function addGradients(graph: GraphBuilder, loss: Tensor, targets: readonly Tensor[]): Tensor[] {
  const forward = [...graph.build().nodes]
  const wanted = tensorsDependingOn(forward, targets)
  const gradients = new Map<string, Tensor>([[loss.name, onesLike(graph, loss)]])
  graph.within('gradient', () => {
    for (const node of forward.toReversed()) passBack(graph, node, wanted, gradients)
  })
  return targets.map((target) => {
    const gradient = gradients.get(target.name)
    if (gradient !== undefined) return gradient
    throw new LabelstreamError('INTERNAL', `gradient: the loss does not depend on ${target.name}`)
  })
}

/** Names of the tensors through which a change of a target can reach anything. */
function tensorsDependingOn(nodes: readonly AnyNode[], targets: readonly Tensor[]): Set<string> {
  const names = new Set(targets.map(({ name }) => name))
  for (const { inputs, outputs } of nodes) {
    if (!inputs.some((input) => input !== undefined && names.has(input.name))) continue
    for (const output of outputs) names.add(output.name)
  }
  return names
}

function passBack(
  graph: GraphBuilder,
  node: AnyNode,
  wanted: ReadonlySet<string>,
  gradients: Map<string, Tensor>,
): void {
  const [first, ...others] = node.outputs
  if (others.some((output) => gradients.has(output.name))) {
    throw new LabelstreamError('INTERNAL', `gradient: the loss depends on a side result of ${first.name}`)
  }
  const grad = gradients.get(first.name)
  if (grad === undefined || !wanted.has(first.name)) return
  inputGradients(graph, node, grad).forEach((gradientOf, index) => {
    const input = node.inputs[index]
    if (gradientOf === undefined || input === undefined || !wanted.has(input.name)) return
    const gradient = gradientOf()
    const sum = gradients.get(input.name)
    gradients.set(input.name, sum === undefined ? gradient : graph.add(sum, gradient))
  })
}

function inputGradients(
  graph: GraphBuilder,
  node: AnyNode,
  grad: Tensor,
): readonly (InputGradient | undefined)[] {
  if (!isForward(node)) {
    throw new LabelstreamError('INTERNAL', `gradient: no gradient flows through ${node.op}`)
  }
  // Operator and rule come from the same key, which the type system cannot follow through the union.
  const rule = gradientRules[node.op] as GradientRule<ForwardOp>
  return rule({
    graph,
    inputs: node.inputs,
    outputs: node.outputs,
    attributes: node.attributes,
    grad,
  })
}

const isForward = (node: AnyNode): node is AnyNode & { readonly op: ForwardOp } =>
  Object.hasOwn(gradientRules, node.op)

const onesLike = (graph: GraphBuilder, loss: Tensor): Tensor => {
  if (loss.shape.some((size) => size !== 1)) {
    throw new LabelstreamError('INTERNAL', `gradient: the loss ${loss.name} is not a single number`)
  }
  const one = graph.scalar(1, loss.type)
  return loss.shape.length === 0
    ? one
    : graph.reshape(
        one,
        loss.shape.map(() => 1),
      )
}
