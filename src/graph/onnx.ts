import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import protobuf from 'protobufjs'
import { LabelstreamError } from '../core/errors.ts'
import { packageRoot } from '../core/paths.ts'
import type { Graph } from './builder.ts'
import { namesEveryOutput, operatorDomains, operatorNames, operatorVersions } from './operators.ts'
import type { AnyNode } from './operators.ts'
import { elementTypes, encodeNumbers } from './tensor.ts'
import type { ElementType, Initializer, Tensor } from './tensor.ts'

/** ONNX 1.15: the oldest with Gelu (opset 20), so that older runtimes read the file too. */
const oldest = { irVersion: 9, opsetVersion: 20 }
/** ONNX 1.18, for graphs with operators that came after. */
const newer = { irVersion: 11, opsetVersion: 23 }

/** Protobuf's limit for one message, less room for everything that is not weights. */
const maxWeightBytes = 2 ** 31 - 2 ** 24

/** AttributeProto.AttributeType */
const attributeTypes = { float: 1, int: 2, string: 3, tensor: 4, ints: 7 } as const

/** TensorProto.DataLocation */
const dataLocations = { external: 1 } as const

let cachedModelType: protobuf.Type | undefined

/** `onnx.ModelProto` of schemas/onnx.proto, with field names in camelCase. Read once. */
export function onnxModelType(): protobuf.Type {
  if (cachedModelType === undefined) {
    const { root } = protobuf.parse(readFileSync(join(packageRoot, 'schemas', 'onnx.proto'), 'utf8'))
    cachedModelType = root.resolveAll().lookupType('onnx.ModelProto')
  }
  return cachedModelType
}

export interface OnnxOptions {
  /** The name of an empty sequence that comes before all other outputs, where one is wanted. */
  readonly emptySequence?: string
}

/**
 * The graph as an ONNX model file. The weights are copied once, into the result.
 * Throws MODEL_UNSUPPORTED when they are over protobuf's limit of 2 GB.
 */
export function writeOnnx(graph: Graph, options: OnnxOptions = {}): Uint8Array {
  const weightBytes = graph.initializers.reduce((sum, { data }) => sum + data.byteLength, 0)
  if (weightBytes > maxWeightBytes) {
    throw new LabelstreamError(
      'MODEL_UNSUPPORTED',
      `the weights take ${weightBytes} bytes; one ONNX file holds at most 2 GB`,
    )
  }
  return encode(graph, tensorProto, options)
}

/** An ONNX model file whose large weights lie in a file beside it, and the pieces of that file in their order. */
export interface SplitOnnx {
  readonly onnx: Uint8Array
  readonly weights: readonly Uint8Array[]
}

/**
 * The graph as an ONNX model file that names `weightsFile`, a file in its own folder, as the place of its weights:
 * ONNX Runtime maps that file into memory and holds no second copy. Small tensors stay in the model file, where shape
 * inference looks for them. The pieces are the graph's own arrays.
 */
export function splitOnnx(graph: Graph, weightsFile: string): SplitOnnx {
  const weights: Uint8Array[] = []
  let offset = 0
  const onnx = encode(graph, (tensor) => {
    if (tensor.data.byteLength < leastOutsideBytes) return tensorProto(tensor)
    const start = Math.ceil(offset / alignmentBytes) * alignmentBytes
    weights.push(new Uint8Array(start - offset), tensor.data)
    offset = start + tensor.data.byteLength
    return outsideTensorProto(tensor, weightsFile, start)
  })
  return { onnx, weights }
}

/** Tensors of fewer bytes stay in the model file. */
const leastOutsideBytes = 1_024
/** A cache line, and a multiple of every element's size. */
const alignmentBytes = 64

function encode(
  graph: Graph,
  initializerProto: (tensor: Initializer) => object,
  { emptySequence }: OnnxOptions = {},
): Uint8Array {
  const { irVersion, opsetVersion } = graph.nodes.some(({ op }) => operatorVersions[op] !== undefined)
    ? newer
    : oldest
  const domains = new Set(graph.nodes.flatMap(({ op }) => operatorDomains[op] ?? []))
  const model = {
    irVersion,
    producerName: 'labelstream',
    opsetImport: [
      { domain: '', version: opsetVersion },
      ...[...domains].map((domain) => ({ domain, version: 1 })),
    ],
    graph: {
      name: graph.name,
      input: graph.inputs.map(valueInfo),
      output: [
        ...(emptySequence === undefined ? [] : [sequenceInfo(emptySequence)]),
        ...graph.outputs.map(valueInfo),
      ],
      initializer: graph.initializers.map(initializerProto),
      node: [
        ...(emptySequence === undefined ? [] : [{ opType: 'SequenceEmpty', output: [emptySequence] }]),
        ...nodeProtos(graph),
      ],
    },
  }
  return onnxModelType().encode(model).finish()
}

const sequenceInfo = (name: string): object => ({
  name,
  type: { sequenceType: { elemType: { tensorType: { elemType: elementTypes.float32.onnx } } } },
})

const valueInfo = ({ name, type, shape }: Tensor): object => ({
  name,
  type: {
    tensorType: {
      elemType: elementTypes[type].onnx,
      shape: {
        dim: shape.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size })),
      },
    },
  },
})

const tensorProto = ({ name, type, shape, data }: Initializer): object => ({
  name,
  dataType: elementTypes[type].onnx,
  dims: shape,
  rawData: data,
})

const outsideTensorProto = (
  { name, type, shape, data }: Initializer,
  file: string,
  offset: number,
): object => ({
  name,
  dataType: elementTypes[type].onnx,
  dims: shape,
  dataLocation: dataLocations.external,
  externalData: [
    { key: 'location', value: file },
    { key: 'offset', value: `${offset}` },
    { key: 'length', value: `${data.byteLength}` },
  ],
})

function nodeProtos(graph: Graph): object[] {
  const used = new Set([
    ...graph.outputs.map(({ name }) => name),
    ...graph.nodes.flatMap(({ inputs }) => inputs.flatMap((input) => input?.name ?? [])),
  ])
  return graph.nodes.map((node) => ({
    name: node.outputs[0].name,
    opType: operatorNames[node.op] ?? node.op,
    domain: operatorDomains[node.op] ?? '',
    input: withoutTrailingBlanks(node.inputs.map((input) => input?.name ?? '')),
    output: withoutTrailingBlanks(
      node.outputs.map(({ name }) => (used.has(name) || namesEveryOutput.has(node.op) ? name : '')),
    ),
    attribute: attributeProtos(node),
  }))
}

/** Optional inputs and outputs that are absent are empty names; at the end they are left out. */
function withoutTrailingBlanks(names: readonly string[]): readonly string[] {
  return names.slice(0, names.findLastIndex((name) => name !== '') + 1)
}

function attributeProtos(node: AnyNode): object[] {
  if (node.op === 'Cast') return [attribute('to', elementTypes[node.attributes.to].onnx)]
  if (node.op === 'ConstantOfShape') return [filling(node.attributes.value, node.attributes.type)]
  return Object.entries(node.attributes).map(([name, value]) =>
    attribute(name, value, floatAttributes.has(name)),
  )
}

/** Attributes that ONNX declares as floats, whatever value they have. */
const floatAttributes: ReadonlySet<string> = new Set(['alpha', 'beta', 'epsilon'])

function attribute(name: string, value: unknown, isFloat = false): object {
  if (isFloat) return { name, type: attributeTypes.float, f: value }
  if (typeof value === 'string')
    return { name, type: attributeTypes.string, s: new TextEncoder().encode(value) }
  if (Array.isArray(value)) return { name, type: attributeTypes.ints, ints: value as unknown }
  return { name, type: attributeTypes.int, i: value }
}

const filling = (value: number, type: ElementType): object => ({
  name: 'value',
  type: attributeTypes.tensor,
  t: { dataType: elementTypes[type].onnx, dims: [1], rawData: encodeNumbers(type, [value]) },
})
