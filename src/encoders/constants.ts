import { floatsToHalves } from '../core/half.ts'
import { LabelstreamError } from '../core/errors.ts'
import { toFloat32 } from '../formats/safetensors.ts'
import type { Tensor as StoredTensor } from '../formats/safetensors.ts'
import type { GraphBuilder } from '../graph/builder.ts'
import type { Tensor } from '../graph/tensor.ts'
import type { ModelParts } from './bert.ts'
import { quantizeRows } from './quantize.ts'

/**
 * The arithmetic of an encoder. int8: linear layers of 8-bit activations and 7-bit weights, for CPUs;
 * fp16: everything in halves, for GPUs.
 */
export type Precision = 'fp32' | 'int8' | 'fp16'

/** A model's parts for inference: stored weights as constants, no dropout. `encoderNames` get the precision. */
export function constantParts(
  g: GraphBuilder,
  stored: ReadonlyMap<string, StoredTensor>,
  precision: Precision,
  encoderNames: ReadonlySet<string>,
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
  if (precision === 'fp32') return { parameter, dropout, attentionInOne: true }
  const quantized = quantizedOnce(g)
  const linear = (x: Tensor, name: string): Tensor => {
    const weight = storedAs(stored, `${name}.weight`)
    const [rows = 0, width = 0] = weight.shape
    const { values, scales } = quantizeRows(toFloat32(weight, name), rows, width)
    const [bytes, scale, zeroPoint] = quantized(x)
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
  return { parameter, dropout, linear, attentionInOne: true }
}

/**
 * Quantises an activation once for all layers that read it: query, key and value share theirs. ONNX Runtime joins it
 * with the product where there is only one.
 */
function quantizedOnce(
  g: GraphBuilder,
): (x: Tensor) => readonly [y: Tensor, scale: Tensor, zeroPoint: Tensor] {
  const made = new Map<string, readonly [Tensor, Tensor, Tensor]>()
  return (x) => {
    const quantized = made.get(x.name) ?? g.apply('DynamicQuantizeLinear', [x], {})
    made.set(x.name, quantized)
    return quantized
  }
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
