import { join } from 'node:path'
import { LabelstreamError } from '../core/errors.ts'
import type { ModelConfig } from '../encoders/config.ts'
import { readGraphConfig } from '../encoders/graph-config.ts'
import { onnxModelType } from '../graph/onnx.ts'
import type { ConcretePrecision, SessionRequest } from './messages.ts'
import { maxWeightBytes, readConfig, readVerified, storedGraphFile } from './model-config.ts'

/** A graph that a folder brings instead of weights to build one from; it is served as it is. */
export interface StoredGraph {
  readonly config: ModelConfig
  readonly onnx: Uint8Array
  readonly precision: ConcretePrecision
}

/**
 * The graph of a folder that has model.onnx and no model.safetensors. Files are compared with their digests before they
 * are parsed. Throws FILE_UNREADABLE, MODEL_CORRUPT, and MODEL_UNSUPPORTED for outputs other than logits and for a graph
 * that would read other files.
 */
export async function readStoredGraph(
  request: Pick<SessionRequest, 'folder' | 'output' | 'expectedDigests'>,
): Promise<StoredGraph> {
  const { folder, output, expectedDigests } = request
  const path = join(folder, storedGraphFile)
  if (output !== 'logits') {
    throw new LabelstreamError(
      'MODEL_UNSUPPORTED',
      `${path} answers with logits alone: training and vectors take a folder with model.safetensors`,
    )
  }
  const config = await readConfig(request, readGraphConfig)
  const onnx = await readVerified(folder, storedGraphFile, maxWeightBytes, expectedDigests)
  return { config, onnx, precision: inspectGraph(onnx, path) }
}

interface TensorProto {
  readonly dims?: readonly unknown[]
  readonly dataType?: number
  readonly dataLocation?: number
}
interface NodeProto {
  readonly opType?: string
  readonly attribute?: readonly {
    readonly g?: GraphProto | null
    readonly graphs?: readonly GraphProto[]
    readonly t?: TensorProto | null
    readonly tensors?: readonly TensorProto[]
    readonly sparseTensor?: SparseProto | null
    readonly sparseTensors?: readonly SparseProto[]
  }[]
}
interface SparseProto {
  readonly values?: TensorProto | null
  readonly indices?: TensorProto | null
}
interface GraphProto {
  readonly node?: readonly NodeProto[]
  readonly initializer?: readonly TensorProto[]
  readonly sparseInitializer?: readonly SparseProto[]
}
interface ModelProto {
  readonly graph?: GraphProto | null
  readonly functions?: readonly { readonly node?: readonly NodeProto[] }[]
}

/** TensorProto.DataLocation and TensorProto.DataType */
const external = 1
const [float32, float16] = [1, 10]

/** Products of 8-bit integers. */
const integerProducts =
  /^(MatMulInteger|MatMulIntegerToFloat|DynamicQuantizeMatMul|QLinearMatMul|QGemm|QAttention)$/

/**
 * The arithmetic of an ONNX file, by what its products and matrices are. Throws MODEL_CORRUPT, and MODEL_UNSUPPORTED
 * where it would read other files, naming `path`.
 */
export function inspectGraph(onnx: Uint8Array, path: string): ConcretePrecision {
  const operators = new Set<string>()
  const matrices = new Set<number>()
  const seeTensor = (tensor: TensorProto | null | undefined): void => {
    if (tensor?.dataLocation === external) {
      throw new LabelstreamError(
        'MODEL_UNSUPPORTED',
        `${path} keeps weights in other files: it must hold all of them`,
      )
    }
    if ((tensor?.dims?.length ?? 0) > 1) matrices.add(tensor?.dataType ?? 0)
  }
  const seeSparse = (sparse: SparseProto | null | undefined): void => {
    seeTensor(sparse?.values)
    seeTensor(sparse?.indices)
  }
  const seeNodes = (nodes: readonly NodeProto[] = []): void => {
    for (const { opType = '', attribute = [] } of nodes) {
      operators.add(opType)
      for (const { g, graphs = [], t, tensors = [], sparseTensor, sparseTensors = [] } of attribute) {
        for (const graph of [g, ...graphs]) seeGraph(graph)
        for (const tensor of [t, ...tensors]) seeTensor(tensor)
        for (const sparse of [sparseTensor, ...sparseTensors]) seeSparse(sparse)
      }
    }
  }
  const seeGraph = (graph: GraphProto | null | undefined): void => {
    graph?.initializer?.forEach(seeTensor)
    graph?.sparseInitializer?.forEach(seeSparse)
    seeNodes(graph?.node)
  }
  const { graph, functions = [] } = decoded(onnx, path)
  seeGraph(graph)
  for (const { node } of functions) seeNodes(node)
  if ([...operators].some((operator) => integerProducts.test(operator))) return 'int8'
  return matrices.has(float16) && !matrices.has(float32) ? 'fp16' : 'fp32'
}

function decoded(onnx: Uint8Array, path: string): ModelProto {
  let model: ModelProto
  try {
    model = onnxModelType().decode(onnx) as ModelProto
  } catch (error) {
    throw new LabelstreamError('MODEL_CORRUPT', `${path} is no ONNX model`, { cause: error })
  }
  if ((model.graph?.node?.length ?? 0) > 0) return model
  throw new LabelstreamError('MODEL_CORRUPT', `${path} is no ONNX model`)
}
