import { floatsToHalves } from '../core/half.ts'
import { LabelstreamError } from '../core/errors.ts'
import { toFloat32 } from '../formats/safetensors.ts'
import type { Tensor as StoredTensor } from '../formats/safetensors.ts'
import type { GraphBuilder } from '../graph/builder.ts'
import type { Tensor } from '../graph/tensor.ts'
import type { ModelParts } from './bert.ts'
import { type Int8Options, int8Layers } from './int8-layers.ts'

/**
 * The arithmetic of an encoder. int8: linear layers of 8-bit activations and 7-bit weights, for CPUs;
 * fp16: everything in halves, for GPUs.
 */
export type Precision = 'fp32' | 'int8' | 'fp16'

/**
 * A model's parts for inference: stored weights as constants, no dropout. `encoderNames` get the precision. `activation`
 * and `ranges` are for int8.
 */
export function constantParts(
  g: GraphBuilder,
  stored: ReadonlyMap<string, StoredTensor>,
  precision: Precision,
  encoderNames: ReadonlySet<string>,
  { activation, ranges }: Int8Options,
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
  const layers = int8Layers(g, (name) => storedAs(stored, name), { activation, ranges })
  return { parameter, lookUp, dropout, attentionInOne: true, ...layers }
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
