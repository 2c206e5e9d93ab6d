import { floatsToHalves } from '../core/half.ts'
import type { Dimension, Shape } from './shape.ts'

/** Element types of tensors, with ONNX's number (TensorProto.DataType) and the bytes of one element. */
export const elementTypes = {
  float32: { onnx: 1, bytes: 4 },
  uint8: { onnx: 2, bytes: 1 },
  int8: { onnx: 3, bytes: 1 },
  int32: { onnx: 6, bytes: 4 },
  int64: { onnx: 7, bytes: 8 },
  bool: { onnx: 9, bytes: 1 },
  float16: { onnx: 10, bytes: 2 },
} as const

export type ElementType = keyof typeof elementTypes

/** What is known about a tensor before the graph runs. */
export interface TensorType {
  readonly type: ElementType
  readonly shape: Shape
  /** The contents of a small integer tensor of rank 0 or 1 where they are known, possibly as symbols. */
  readonly contents?: readonly Dimension[]
}

/** One value of a graph: an input, an initializer or an operator's output. Names are unique in their graph. */
export interface Tensor extends TensorType {
  readonly name: string
}

/** A tensor whose values are part of the model. `data` is row-major, little-endian. */
export interface Initializer extends Tensor {
  readonly shape: readonly number[]
  readonly data: Uint8Array
}

/** Numbers as little-endian bytes of an element type. */
export function encodeNumbers(type: ElementType, values: readonly number[]): Uint8Array {
  switch (type) {
    case 'float32':
      return new Uint8Array(new Float32Array(values).buffer)
    case 'int64':
      return new Uint8Array(new BigInt64Array(values.map(BigInt)).buffer)
    case 'int32':
      return new Uint8Array(new Int32Array(values).buffer)
    case 'uint8':
    case 'bool':
      return Uint8Array.from(values)
    case 'int8':
      return new Uint8Array(Int8Array.from(values).buffer)
    case 'float16':
      return new Uint8Array(floatsToHalves(new Float32Array(values)).buffer)
  }
}
