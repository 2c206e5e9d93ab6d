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
  if (precision !== 'int8') return { parameter, dropout }
  const linear = (x: Tensor, name: string): Tensor => {
    const weight = storedAs(stored, `${name}.weight`)
    const [rows = 0, width = 0] = weight.shape
    const { values, scales } = quantizeRows(toFloat32(weight, name), rows, width)
    const inputs = [
      x,
      g.initializer(`${name}.weight_int8`, 'int8', [width, rows], bytesOf(values)),
      g.initializer(`${name}.weight_scale`, 'float32', [rows], bytesOf(scales)),
      undefined,
      parameter(`${name}.bias`),
    ] as const
    return g.apply('DynamicQuantizeMatMul', inputs, {})[0]
  }
  return { parameter, dropout, linear }
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
