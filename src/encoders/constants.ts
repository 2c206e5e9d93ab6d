import { floatsToHalves } from '../core/half.ts'
import { LabelstreamError } from '../core/errors.ts'
import { toFloat32 } from '../formats/safetensors.ts'
import type { Tensor as StoredTensor } from '../formats/safetensors.ts'
import type { GraphBuilder } from '../graph/builder.ts'
import type { Tensor } from '../graph/tensor.ts'
import { type ActivationRanges, quantization } from './activation-ranges.ts'
import type { ModelParts } from './bert.ts'
import { quantizeRows } from './quantize.ts'

/**
 * The arithmetic of an encoder. int8: linear layers of 8-bit activations and 7-bit weights, for CPUs;
 * fp16: everything in halves, for GPUs.
 */
export type Precision = 'fp32' | 'int8' | 'fp16'

/**
 * A model's parts for inference: stored weights as constants, no dropout. `encoderNames` get the precision. In int8
 * activations are quantised by `ranges`, or each by its own range while it runs.
 */
export function constantParts(
  g: GraphBuilder,
  stored: ReadonlyMap<string, StoredTensor>,
  precision: Precision,
  encoderNames: ReadonlySet<string>,
  ranges?: ActivationRanges,
): ModelParts {
  const made = new Map<string, Tensor>()
  const parameter = (name: string): Tensor => {
    const half = precision === 'fp16' && encoderNames.has(name)
    const tensor = made.get(name) ?? constant(g, name, storedAs(stored, name), half)
    made.set(name, tensor)
    return tensor
  }
  const dropout = (x: Tensor): Tensor => x
  if (precision === 'fp16') return { parameter, dropout }
  /** A table that is stored in halves stays so, which takes half the memory; only the rows that are read are widened. */
  const lookUp = (ids: Tensor, name: string): Tensor => {
    const tensor = storedAs(stored, name)
    if (tensor.dtype !== 'F16') return g.gather(parameter(name), ids, 0)
    return g.cast(g.gather(constant(g, name, tensor, true), ids, 0), 'float32')
  }
  if (precision === 'fp32') return { parameter, lookUp, dropout, attentionInOne: true }
  const quantized = quantizedOnce(g, ranges)
  const linear = (x: Tensor, name: string): Tensor => {
    const weight = storedAs(stored, `${name}.weight`)
    const [rows = 0, width = 0] = weight.shape
    const { values, scales } = quantizeRows(toFloat32(weight, name), rows, width)
    const [bytes, scale, zeroPoint] = quantized(x, name)
    const inputs = [
      bytes,
      g.initializer(`${name}.weight_int8`, 'int8', [width, rows], bytesOf(values)),
      scale,
      g.initializer(`${name}.weight_scale`, 'float32', [rows], bytesOf(scales)),
      zeroPoint,
      undefined,
      parameter(`${name}.bias`),
    ] as const
    return g.apply('MatMulIntegerToFloat', inputs, {})[0]
  }
  return { parameter, lookUp, dropout, linear, attentionInOne: true }
}

type Quantized = readonly [y: Tensor, scale: Tensor, zeroPoint: Tensor]

/**
 * Quantises an activation once for all layers that read it: query, key and value share theirs. Where its range is not
 * known ONNX Runtime joins it with the product, if there is only one.
 */
function quantizedOnce(g: GraphBuilder, ranges?: ActivationRanges): (x: Tensor, layer: string) => Quantized {
  const made = new Map<string, Quantized>()
  return (x, layer) => {
    const range = ranges?.get(layer)
    const quantized =
      made.get(x.name) ??
      (range === undefined ? g.apply('DynamicQuantizeLinear', [x], {}) : quantizedBy(g, x, range))
    made.set(x.name, quantized)
    return quantized
  }
}

function quantizedBy(g: GraphBuilder, x: Tensor, range: readonly [number, number]): Quantized {
  const { scale, zeroPoint } = quantization(range)
  const [scaleTensor, zeroPointTensor] = [g.scalar(scale), g.scalar(zeroPoint, 'uint8')]
  const [y] = g.apply('QuantizeLinear', [x, scaleTensor, zeroPointTensor], {})
  return [y, scaleTensor, zeroPointTensor]
}

function storedAs(stored: ReadonlyMap<string, StoredTensor>, name: string): StoredTensor {
  const tensor = stored.get(name)
  if (tensor === undefined)
    throw new LabelstreamError('INTERNAL', `the graph asks for an undeclared parameter ${name}`)
  return tensor
}

function constant(g: GraphBuilder, name: string, tensor: StoredTensor, half: boolean): Tensor {
  if (!half) return g.initializer(name, 'float32', tensor.shape, bytesOf(toFloat32(tensor, name)))
  // Halves as they are stored: no way through fp32 and back.
  const data = tensor.dtype === 'F16' ? tensor.data : bytesOf(floatsToHalves(toFloat32(tensor, name)))
  return g.initializer(name, 'float16', tensor.shape, data)
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)
