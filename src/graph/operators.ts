import type { ElementType, Tensor } from './tensor.ts'

/** What an operator takes and gives. Absent optional inputs are undefined. */
export interface Signature {
  readonly inputs: readonly (Tensor | undefined)[]
  readonly attributes: object
  readonly outputs: readonly Tensor[]
}

type Op1<Attributes = object> = {
  readonly inputs: readonly [x: Tensor]
  readonly attributes: Attributes
  readonly outputs: readonly [Tensor]
}
type Op2<Attributes = object> = {
  readonly inputs: readonly [a: Tensor, b: Tensor]
  readonly attributes: Attributes
  readonly outputs: readonly [Tensor]
}
type Op3<Attributes = object> = {
  readonly inputs: readonly [a: Tensor, b: Tensor, c: Tensor]
  readonly attributes: Attributes
  readonly outputs: readonly [Tensor]
}
type Reduction = {
  readonly inputs: readonly [x: Tensor, axes: Tensor]
  readonly attributes: { readonly keepdims?: 0 | 1 }
  readonly outputs: readonly [Tensor]
}
type Variadic<Attributes = object> = {
  readonly inputs: readonly Tensor[]
  readonly attributes: Attributes
  readonly outputs: readonly [Tensor]
}
type Axis = { readonly axis: number }

/**
 * Every operator this program uses, named and typed as in ONNX opset 20 (23 for Attention)
 * (https://onnx.ai/onnx/operators/). The shape-inference table is total over it, and the gradient table over
 * `DifferentiableOp`.
 */
export interface Operators {
  // arithmetic, broadcasting
  Add: Op2
  Sub: Op2
  Mul: Op2
  Div: Op2
  Pow: Op2
  Max: Op2
  Min: Op2
  // element by element
  Neg: Op1
  Abs: Op1
  Sign: Op1
  Sqrt: Op1
  Reciprocal: Op1
  Exp: Op1
  Log: Op1
  Erf: Op1
  Tanh: Op1
  Sigmoid: Op1
  Softplus: Op1
  Relu: Op1
  Gelu: Op1<{ readonly approximate?: 'none' | 'tanh' }>
  Identity: Op1
  Cast: Op1<{ readonly to: ElementType }>
  // products
  MatMul: Op2
  Gemm: {
    readonly inputs: readonly [a: Tensor, b: Tensor, c: Tensor | undefined]
    readonly attributes: {
      readonly alpha?: number
      readonly beta?: number
      readonly transA?: 0 | 1
      readonly transB?: 0 | 1
    }
    readonly outputs: readonly [Tensor]
  }
  // along an axis
  Softmax: Op1<Axis>
  LogSoftmax: Op1<Axis>
  LayerNormalization: {
    readonly inputs: readonly [x: Tensor, scale: Tensor, bias: Tensor]
    readonly attributes: { readonly axis: -1; readonly epsilon: number }
    /** The result; the mean; the inverse standard deviation. Unused ones are not written. */
    readonly outputs: readonly [y: Tensor, mean: Tensor, inverseDeviation: Tensor]
  }
  ReduceSum: Reduction
  ReduceMean: Reduction
  ReduceMax: Reduction
  ReduceSumSquare: Reduction
  // shapes and places
  Shape: Op1
  Reshape: {
    readonly inputs: readonly [x: Tensor, shape: Tensor]
    readonly attributes: object
    readonly outputs: readonly [Tensor]
  }
  Transpose: Op1<{ readonly perm: readonly number[] }>
  Expand: Op2
  Squeeze: Op2
  Unsqueeze: Op2
  Concat: Variadic<Axis>
  Slice: {
    readonly inputs: readonly [x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor, steps: Tensor]
    readonly attributes: object
    readonly outputs: readonly [Tensor]
  }
  Gather: Op2<Axis>
  ScatterElements: Op3<{ readonly axis: number; readonly reduction?: 'none' | 'add' }>
  ScatterND: Op3<{ readonly reduction?: 'none' | 'add' }>
  Range: Op3
  ConstantOfShape: Op1<{ readonly value: number; readonly type: ElementType }>
  // comparisons and choices
  Less: Op2
  LessOrEqual: Op2
  Greater: Op2
  GreaterOrEqual: Op2
  Equal: Op2
  And: Op2
  Or: Op2
  Not: Op1
  Where: Op3
  /**
   * Scaled dot-product attention over [batch, sequence, heads * headSize], the mask added to the scores: opset 23.
   * The mask is [batch, 1, sequence, sequence]: ONNX Runtime's CPU kernel does not broadcast it along the queries.
   */
  Attention: {
    readonly inputs: readonly [query: Tensor, key: Tensor, value: Tensor, mask: Tensor]
    readonly attributes: { readonly q_num_heads: number; readonly kv_num_heads: number }
    readonly outputs: readonly [Tensor]
  }
  // 8-bit inference
  QuantizeLinear: {
    readonly inputs: readonly [x: Tensor, scale: Tensor, zeroPoint: Tensor]
    readonly attributes: object
    readonly outputs: readonly [y: Tensor]
  }
  DynamicQuantizeLinear: {
    readonly inputs: readonly [x: Tensor]
    readonly attributes: object
    readonly outputs: readonly [y: Tensor, scale: Tensor, zeroPoint: Tensor]
  }
  MatMulInteger: {
    readonly inputs: readonly [
      a: Tensor,
      b: Tensor,
      aZeroPoint: Tensor | undefined,
      bZeroPoint: Tensor | undefined,
    ]
    readonly attributes: object
    readonly outputs: readonly [Tensor]
  }
  /** ONNX Runtime's own: fp32 `a` times 8-bit `b`, with a scale for each column of `b`. */
  DynamicQuantizeMatMul: {
    readonly inputs: readonly [
      a: Tensor,
      b: Tensor,
      bScale: Tensor,
      bZeroPoint: Tensor | undefined,
      bias: Tensor | undefined,
    ]
    readonly attributes: object
    readonly outputs: readonly [Tensor]
  }
  /** ONNX Runtime's own: the same for an `a` that is quantised already. */
  MatMulIntegerToFloat: {
    readonly inputs: readonly [
      a: Tensor,
      b: Tensor,
      aScale: Tensor,
      bScale: Tensor,
      aZeroPoint: Tensor | undefined,
      bZeroPoint: Tensor | undefined,
      bias: Tensor | undefined,
    ]
    readonly attributes: object
    readonly outputs: readonly [Tensor]
  }
  // ONNX Runtime's own for BERT, joined for graphics processors
  /** Words, positions and the normalisation of their sum; [batch], how many tokens of each row the mask has. */
  EmbedLayerNormalization: {
    readonly inputs: readonly [
      ids: Tensor,
      types: undefined,
      words: Tensor,
      positions: Tensor,
      typeTable: undefined,
      scale: Tensor,
      bias: Tensor,
      mask: Tensor,
    ]
    readonly attributes: { readonly epsilon: number }
    readonly outputs: readonly [y: Tensor, tokenCounts: Tensor]
  }
  /** Normalises x + skip + bias. */
  SkipLayerNormalization: {
    readonly inputs: readonly [x: Tensor, skip: Tensor, scale: Tensor, shift: Tensor, bias: Tensor]
    readonly attributes: { readonly epsilon: number }
    readonly outputs: readonly [Tensor]
  }
  /** Gelu(x + bias). */
  BiasGelu: Op2
  /**
   * `com.microsoft.Attention`: the products for queries, keys and values as one, weights [hidden, 3 * hidden], and the
   * attention over x [batch, sequence, hidden], of which each row has `tokenCounts` tokens and padding behind them.
   */
  JoinedAttention: {
    readonly inputs: readonly [x: Tensor, weights: Tensor, bias: Tensor, tokenCounts: Tensor]
    readonly attributes: { readonly num_heads: number }
    readonly outputs: readonly [Tensor]
  }
  /** [batch, sequence, hidden] to [tokens, hidden], without the padding behind each row's tokens. CUDA only. */
  RemovePadding: {
    readonly inputs: readonly [x: Tensor, tokenCounts: Tensor]
    readonly attributes: object
    readonly outputs: readonly [
      y: Tensor,
      tokenOffsets: Tensor,
      cumulatedCounts: Tensor,
      longestCount: Tensor,
    ]
  }
  /** The way back, with zeros for padding. CUDA only. */
  RestorePadding: Op2
  /** JoinedAttention over [tokens, hidden] between RemovePadding and RestorePadding. CUDA only. */
  PackedAttention: {
    readonly inputs: readonly [
      x: Tensor,
      weights: Tensor,
      bias: Tensor,
      tokenOffsets: Tensor,
      cumulatedCounts: Tensor,
    ]
    readonly attributes: { readonly num_heads: number }
    readonly outputs: readonly [Tensor]
  }
}

export type Op = keyof Operators

/** Operators through which no gradient flows: their results are integers, truth values, or steps; or that training does not use. */
export type NonDifferentiableOp =
  | 'Sign'
  | 'Shape'
  | 'Range'
  | 'ConstantOfShape'
  | 'Less'
  | 'LessOrEqual'
  | 'Greater'
  | 'GreaterOrEqual'
  | 'Equal'
  | 'And'
  | 'Or'
  | 'Not'
  | 'QuantizeLinear'
  | 'DynamicQuantizeLinear'
  | 'MatMulInteger'
  | 'DynamicQuantizeMatMul'
  | 'MatMulIntegerToFloat'
  // inference only: training has the products and the softmax one by one
  | 'Attention'
  | JoinedOp

/** For graphics processors, in ONNX Runtime's own domain. */
type JoinedOp =
  | 'EmbedLayerNormalization'
  | 'SkipLayerNormalization'
  | 'BiasGelu'
  | 'JoinedAttention'
  | 'RemovePadding'
  | 'RestorePadding'
  | 'PackedAttention'

export type DifferentiableOp = Exclude<Op, NonDifferentiableOp>

/** One application of an operator. */
export interface GraphNode<O extends Op = Op> {
  readonly op: O
  readonly inputs: Operators[O]['inputs']
  readonly attributes: Operators[O]['attributes']
  readonly outputs: Operators[O]['outputs']
}

/** A node of any operator, as a union that narrows on `op`. */
export type AnyNode = { [O in Op]: GraphNode<O> }[Op]

/** Operators that ONNX itself does not have, with the domain that has them. */
export const operatorDomains: { readonly [O in Op]?: string } = {
  DynamicQuantizeMatMul: 'com.microsoft',
  MatMulIntegerToFloat: 'com.microsoft',
  EmbedLayerNormalization: 'com.microsoft',
  SkipLayerNormalization: 'com.microsoft',
  BiasGelu: 'com.microsoft',
  JoinedAttention: 'com.microsoft',
  RemovePadding: 'com.microsoft',
  RestorePadding: 'com.microsoft',
  PackedAttention: 'com.microsoft',
}

/** Operators that their domain has under a name that is another operator's in ONNX. */
export const operatorNames: { readonly [O in Op]?: string } = { JoinedAttention: 'Attention' }

/** Operators of which no result may be left out, used or not. */
export const namesEveryOutput: ReadonlySet<Op> = new Set<Op>(['RemovePadding'])

/** Operators younger than the opset that graphs otherwise ask for. */
export const operatorVersions: { readonly [O in Op]?: number } = { Attention: 23 }
