import type { Graph } from './builder.ts'
import { shapeText } from './shape.ts'
import type { TensorType } from './tensor.ts'

/**
 * A graph as text, one line a node, for people and for failing tests:
 * `Gemm_3: float32 [rows, 384] = Gemm(x, weight, bias) transB=1`.
 */
export function printGraph(graph: Graph): string {
  return [
    `graph ${graph.name}`,
    ...graph.inputs.map((tensor) => `input ${tensor.name}: ${typeText(tensor)}`),
    ...graph.initializers.map((tensor) => `initializer ${tensor.name}: ${typeText(tensor)}`),
    ...graph.nodes.map(({ op, inputs, attributes, outputs }) => {
      const results = outputs.map((tensor) => `${tensor.name}: ${typeText(tensor)}`).join(', ')
      const settings = Object.entries(attributes).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`)
      return `${results} = ${op}(${inputs.map((input) => input?.name ?? '-').join(', ')})${settings.join('')}`
    }),
    ...graph.outputs.map((tensor) => `output ${tensor.name}: ${typeText(tensor)}`),
  ].join('\n')
}

const typeText = ({ type, shape, contents }: TensorType): string =>
  `${type} ${shapeText(shape)}${contents === undefined ? '' : ` = (${contents.join(', ')})`}`
