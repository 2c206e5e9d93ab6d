import { type Tensor as StoredTensor, toFloat32 } from '../formats/safetensors.ts'
import type { GraphBuilder } from '../graph/builder.ts'
import type { Tensor } from '../graph/tensor.ts'
import { type Activation, activate } from './activation.ts'
import { type ActivationRanges, quantization } from './activation-ranges.ts'
import type { ModelParts } from './bert.ts'
import { quantizeRows } from './quantize.ts'

export interface Int8Options {
  /** Of the model, between the two layers of its feed-forward parts. */
  readonly activation: Activation
  /** What activations are quantised by; without them each by its own range while it runs. */
  readonly ranges: ActivationRanges | undefined
}

/** What a layer's inputs and outputs are multiplied by, beside what the model says. */
interface Factors {
  readonly inputs?: number
  readonly outputs?: number
}

type Quantized = readonly [y: Tensor, scale: Tensor, zeroPoint: Tensor]

/** Linear layers of 8-bit activations and 7-bit weights, for CPUs. `stored` gives their weights [out, in] and biases. */
export function int8Layers(
  g: GraphBuilder,
  stored: (name: string) => StoredTensor,
  { activation, ranges }: Int8Options,
): Pick<ModelParts, 'linear' | 'feedForward'> {
  const made = new Map<string, Quantized>()
  /**
   * An activation is quantised once for all layers that read it: query, key and value share theirs. Where its range is not
   * known ONNX Runtime joins it with the product, if there is only one.
   */
  const quantized = (x: Tensor, name: string, factor: number): Quantized => {
    const range = ranges?.get(name)
    const result =
      made.get(x.name) ??
      (range === undefined ? g.apply('DynamicQuantizeLinear', [x], {}) : quantizedBy(g, x, range, factor))
    made.set(x.name, result)
    return result
  }
  const linear = (x: Tensor, name: string, { inputs = 1, outputs = 1 }: Factors = {}): Tensor => {
    const weight = stored(`${name}.weight`)
    const [rows = 0, width = 0] = weight.shape
    const { values, scales } = quantizeRows(toFloat32(weight, name), rows, width)
    const [bytes, scale, zeroPoint] = quantized(x, name, inputs)
    const numbers = (role: string, array: Float32Array, factor: number): Tensor =>
      g.initializer(`${name}.${role}`, 'float32', [rows], bytesOf(array.map((value) => value * factor)))
    const operands = [
      bytes,
      g.initializer(`${name}.weight_int8`, 'int8', [width, rows], bytesOf(values)),
      scale,
      numbers('weight_scale', scales, outputs / inputs),
      zeroPoint,
      undefined,
      numbers('bias', toFloat32(stored(`${name}.bias`), name), outputs),
    ] as const
    return g.apply('MatMulIntegerToFloat', operands, {})[0]
  }
  const sharpness = sharpnessOf[activation]
  if (sharpness === undefined) return { linear }
  return {
    linear,
    feedForward: (x, inner, outer) =>
      linear(activate(g, 'silu', linear(x, inner, { outputs: sharpness })), outer, { inputs: sharpness }),
  }
}

/**
 * GELU(x) is about SiLU(s x) / s (Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2, with s = 1.702), and both factors go
 * into the layers around it for nothing. ONNX Runtime computes SiLU in a third of GELU's time. 1.74 instead of 1.702 is
 * where all-MiniLM-L6-v2 in fp32 moves least: by 0.070 instead of 0.075 in the median of 300 texts, where 8 bits move it by
 * 0.134 (docs/performance.md).
 */
const sharpnessOf: { readonly [A in Activation]?: number } = {
  gelu: 1.74,
  gelu_tanh: 1.74,
  quick_gelu: 1.702,
}

function quantizedBy(
  g: GraphBuilder,
  x: Tensor,
  [least, most]: readonly [number, number],
  factor: number,
): Quantized {
  const { scale, zeroPoint } = quantization([least * factor, most * factor])
  const [scaleTensor, zeroPointTensor] = [g.scalar(scale), g.scalar(zeroPoint, 'uint8')]
  const [y] = g.apply('QuantizeLinear', [x, scaleTensor, zeroPointTensor], {})
  return [y, scaleTensor, zeroPointTensor]
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)
