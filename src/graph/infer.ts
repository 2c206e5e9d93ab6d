import type { Op, Operators } from './operators.ts'
import {
  addSizes,
  broadcast,
  divide,
  elementCount,
  multiply,
  normalAxis,
  replaceAxis,
  shapeError,
  shapeText,
  sizeAt,
} from './shape.ts'
import type { Dimension, Shape } from './shape.ts'
import type { Tensor, TensorType } from './tensor.ts'

type Types<Outputs> = { readonly [Index in keyof Outputs]: TensorType }

/** Element type and shape of an operator's results, from its inputs. Throws INTERNAL when they do not fit. */
export type InferenceRule<O extends Op> = (
  inputs: Operators[O]['inputs'],
  attributes: Operators[O]['attributes'],
) => Types<Operators[O]['outputs']>

type Binary = readonly [a: Tensor, b: Tensor]

const sameType = ([a, b]: Binary): TensorType['type'] => {
  if (a.type !== b.type) throw shapeError(`${a.name} is ${a.type}, ${b.name} is ${b.type}`)
  return a.type
}

const elementwise = ([x]: readonly [Tensor]): readonly [TensorType] => [{ type: x.type, shape: x.shape }]

const arithmetic =
  (combine?: (a: Dimension, b: Dimension) => Dimension | undefined) =>
  (inputs: Binary): readonly [TensorType] => {
    const [a, b] = inputs
    const result: TensorType = { type: sameType(inputs), shape: broadcast(a.shape, b.shape) }
    return [withContents(result, combineContents(a.contents, b.contents, combine))]
  }

const comparison = (inputs: Binary): readonly [TensorType] => {
  sameType(inputs)
  return [{ type: 'bool', shape: broadcast(inputs[0].shape, inputs[1].shape) }]
}

const alongAxis = ([x]: readonly [Tensor], { axis }: { readonly axis: number }): readonly [TensorType] => {
  normalAxis(axis, x.shape.length)
  return [{ type: x.type, shape: x.shape }]
}

const reduction = (
  [x, axes]: readonly [Tensor, Tensor],
  { keepdims = 1 }: { readonly keepdims?: 0 | 1 },
): readonly [TensorType] => {
  const reduced = knownNumbers(axes).map((axis) => normalAxis(axis, x.shape.length))
  const shape = x.shape.flatMap((size, axis) =>
    !reduced.includes(axis) ? [size] : keepdims === 1 ? [1] : [],
  )
  return [{ type: x.type, shape }]
}

const scatter = ([data, , updates]: readonly [Tensor, Tensor, Tensor]): readonly [TensorType] => {
  sameType([data, updates])
  return [{ type: data.type, shape: data.shape }]
}

export const inferenceRules: { readonly [O in Op]: InferenceRule<O> } = {
  Add: arithmetic(addSizes),
  Sub: arithmetic((a, b) => (typeof a === 'number' && typeof b === 'number' ? a - b : undefined)),
  Mul: arithmetic(multiply),
  Div: arithmetic(divide),
  Pow: ([x, exponent]) => [{ type: x.type, shape: broadcast(x.shape, exponent.shape) }],
  Max: arithmetic(),
  Min: arithmetic(),

  Neg: elementwise,
  Abs: elementwise,
  Sign: elementwise,
  Sqrt: elementwise,
  Reciprocal: elementwise,
  Exp: elementwise,
  Log: elementwise,
  Erf: elementwise,
  Tanh: elementwise,
  Sigmoid: elementwise,
  Softplus: elementwise,
  Relu: elementwise,
  Gelu: elementwise,
  Identity: ([x]) => [x],
  Cast: ([x], { to }) => {
    const integers = to === 'int32' || to === 'int64'
    return [withContents({ type: to, shape: x.shape }, integers ? x.contents : undefined)]
  },

  MatMul: (inputs) => [{ type: sameType(inputs), shape: productShape(inputs[0].shape, inputs[1].shape) }],
  Gemm: ([a, b, c], { transA = 0, transB = 0 }) => {
    if (a.shape.length !== 2 || b.shape.length !== 2) {
      throw shapeError(`Gemm takes matrices, not ${shapeText(a.shape)} and ${shapeText(b.shape)}`)
    }
    const shape = productShape(
      transA === 1 ? a.shape.toReversed() : a.shape,
      transB === 1 ? b.shape.toReversed() : b.shape,
    )
    if (c !== undefined && shapeText(broadcast(shape, c.shape)) !== shapeText(shape)) {
      throw shapeError(`Gemm cannot add ${shapeText(c.shape)} to ${shapeText(shape)}`)
    }
    return [{ type: sameType([a, b]), shape }]
  },

  Softmax: alongAxis,
  LogSoftmax: alongAxis,
  LayerNormalization: ([x, scale, bias]) => {
    const width = sizeAt(x.shape, -1)
    if (sizeAt(scale.shape, -1) !== width || sizeAt(bias.shape, -1) !== width) {
      throw shapeError(`${scale.name} and ${bias.name} must have ${width} elements`)
    }
    const statistics: TensorType = { type: x.type, shape: [...x.shape.slice(0, -1), 1] }
    return [{ type: x.type, shape: x.shape }, statistics, statistics]
  },
  ReduceSum: reduction,
  ReduceMean: reduction,
  ReduceMax: reduction,
  ReduceSumSquare: reduction,

  Shape: ([x]) => [{ type: 'int64', shape: [x.shape.length], contents: x.shape }],
  Reshape: ([x, shape]) => {
    const result = { type: x.type, shape: reshaped(x.shape, knownContents(shape)) }
    return [withContents(result, result.shape.length <= 1 ? x.contents : undefined)]
  },
  Transpose: ([x], { perm }) => {
    if (perm.length !== x.shape.length || new Set(perm).size !== perm.length) {
      throw shapeError(`perm ${shapeText(perm)} does not order the axes of ${shapeText(x.shape)}`)
    }
    return [{ type: x.type, shape: perm.map((axis) => sizeAt(x.shape, axis)) }]
  },
  Expand: ([x, shape]) => [{ type: x.type, shape: broadcast(x.shape, knownContents(shape)) }],
  Squeeze: ([x, axes]) => {
    const dropped = knownNumbers(axes).map((axis) => normalAxis(axis, x.shape.length))
    for (const axis of dropped) {
      if (x.shape[axis] !== 1) throw shapeError(`axis ${axis} of ${shapeText(x.shape)} is not 1`)
    }
    return [
      withContents({ type: x.type, shape: x.shape.filter((_, axis) => !dropped.includes(axis)) }, x.contents),
    ]
  },
  Unsqueeze: ([x, axes]) => {
    const added = knownNumbers(axes)
    const rank = x.shape.length + added.length
    const places = new Set(added.map((axis) => normalAxis(axis, rank)))
    const rest = x.shape.values()
    const shape = Array.from({ length: rank }, (_, axis) =>
      places.has(axis) ? 1 : (rest.next().value as Dimension),
    )
    return [withContents({ type: x.type, shape }, rank <= 1 ? x.contents : undefined)]
  },
  Concat: (inputs, { axis }) => {
    const [first] = inputs
    if (first === undefined) throw shapeError('Concat needs an input')
    const place = normalAxis(axis, first.shape.length)
    const size = inputs.reduce<Dimension>((sum, input) => addSizes(sum, sizeAt(input.shape, place)), 0)
    for (const input of inputs) {
      sameType([first, input])
      if (shapeText(replaceAxis(input.shape, place, [])) !== shapeText(replaceAxis(first.shape, place, []))) {
        throw shapeError(
          `${shapeText(input.shape)} and ${shapeText(first.shape)} do not join along axis ${axis}`,
        )
      }
    }
    const contents = inputs.map((input) => input.contents)
    const known = contents.every((content) => content !== undefined) && first.shape.length === 1
    return [
      withContents(
        { type: first.type, shape: replaceAxis(first.shape, place, [size]) },
        known ? contents.flat() : undefined,
      ),
    ]
  },
  Slice: ([x, starts, ends, axes, steps]) => {
    const [from, to, by] = [knownContents(starts), knownContents(ends), knownNumbers(steps)]
    let shape = x.shape
    let contents = x.contents
    for (const [index, axis] of knownNumbers(axes).entries()) {
      const place = normalAxis(axis, x.shape.length)
      const [start, end, step] = [from[index] ?? 0, to[index] ?? 0, by[index] ?? 1]
      shape = replaceAxis(shape, place, [slicedSize(sizeAt(x.shape, place), start, end, step)])
      const numbers = typeof start === 'number' && typeof end === 'number' && step === 1
      contents = numbers ? contents?.slice(start, end) : undefined
    }
    return [withContents({ type: x.type, shape }, contents)]
  },
  Gather: ([x, indices], { axis }) => {
    const place = normalAxis(axis, x.shape.length)
    const shape = replaceAxis(x.shape, place, indices.shape)
    const picked = indices.contents?.map((index) =>
      typeof index === 'number' ? x.contents?.at(index) : undefined,
    )
    const known = picked?.every((item) => item !== undefined) === true && shape.length <= 1
    return [withContents({ type: x.type, shape }, known ? picked : undefined)]
  },
  ScatterElements: scatter,
  ScatterND: scatter,
  Range: ([start, limit, delta]) => {
    const [from, to, by] = [start.contents?.[0], limit.contents?.[0], delta.contents?.[0]]
    if (by !== 1 || from === undefined || to === undefined)
      throw shapeError('Range needs known limits and step 1')
    return [{ type: start.type, shape: [slicedSize(to, from, to, 1)] }]
  },
  ConstantOfShape: ([shape], { type }) => [{ type, shape: knownContents(shape) }],

  Less: comparison,
  LessOrEqual: comparison,
  Greater: comparison,
  GreaterOrEqual: comparison,
  Equal: comparison,
  And: comparison,
  Or: comparison,
  Not: elementwise,
  Where: ([condition, a, b]) => {
    if (condition.type !== 'bool')
      throw shapeError(`${condition.name} is ${condition.type}, Where asks for bool`)
    return [{ type: sameType([a, b]), shape: broadcast(condition.shape, broadcast(a.shape, b.shape)) }]
  },

  Attention: ([query, key, value, mask]) => {
    const [batch, sequence, width] = [sizeAt(query.shape, 0), sizeAt(query.shape, 1), sizeAt(query.shape, 2)]
    const same = [key, value].every(({ shape }) => shapeText(shape) === shapeText(query.shape))
    if (!same || shapeText(mask.shape) !== shapeText([batch, 1, sequence, sequence])) {
      throw shapeError(
        `Attention over ${shapeText(query.shape)} does not take a mask ${shapeText(mask.shape)}`,
      )
    }
    return [{ type: query.type, shape: [batch, sequence, width] }]
  },

  QuantizeLinear: ([x, , zeroPoint]) => [{ type: zeroPoint.type, shape: x.shape }],
  DynamicQuantizeLinear: ([x]) => [
    { type: 'uint8', shape: x.shape },
    { type: 'float32', shape: [] },
    { type: 'uint8', shape: [] },
  ],
  MatMulInteger: ([a, b]) => [{ type: 'int32', shape: productShape(a.shape, b.shape) }],
  MatMulIntegerToFloat: ([a, b]) => [{ type: 'float32', shape: productShape(a.shape, b.shape) }],
  DynamicQuantizeMatMul: ([a, b]) => [{ type: 'float32', shape: productShape(a.shape, b.shape) }],

  EmbedLayerNormalization: ([ids, , words]) => [
    { type: words.type, shape: [...ids.shape, sizeAt(words.shape, 1)] },
    { type: 'int32', shape: [sizeAt(ids.shape, 0)] },
  ],
  SkipLayerNormalization: ([x, skip]) => {
    if (shapeText(x.shape) !== shapeText(skip.shape)) {
      throw shapeError(`${shapeText(x.shape)} and ${shapeText(skip.shape)} are not added and normalised`)
    }
    return [{ type: sameType([x, skip]), shape: x.shape }]
  },
  BiasGelu: (inputs) => [{ type: sameType(inputs), shape: broadcast(inputs[0].shape, inputs[1].shape) }],
  JoinedAttention: joinedAttention,
  RemovePadding: ([x, counts]) => [
    { type: x.type, shape: ['tokens', sizeAt(x.shape, 2)] },
    { type: counts.type, shape: x.shape.slice(0, 2) },
    { type: counts.type, shape: ['batch+1'] },
    { type: counts.type, shape: [1] },
  ],
  RestorePadding: ([x, offsets]) => [{ type: x.type, shape: [...offsets.shape, sizeAt(x.shape, 1)] }],
  PackedAttention: joinedAttention,
}

/** Of x [..., hidden] with weights [hidden, 3 * hidden]. */
function joinedAttention([x, weights]: readonly [Tensor, Tensor, ...Tensor[]]): readonly [TensorType] {
  const width = sizeAt(x.shape, -1)
  if (typeof width !== 'number' || shapeText(weights.shape) !== shapeText([width, 3 * width])) {
    throw shapeError(`attention over ${shapeText(x.shape)} does not take weights ${shapeText(weights.shape)}`)
  }
  return [{ type: sameType([x, weights]), shape: x.shape }]
}

const withContents = (type: TensorType, contents: readonly Dimension[] | undefined): TensorType =>
  contents === undefined
    ? { type: type.type, shape: type.shape }
    : { type: type.type, shape: type.shape, contents }

function knownContents(tensor: Tensor): readonly Dimension[] {
  if (tensor.contents === undefined)
    throw shapeError(`the contents of ${tensor.name} must be known beforehand`)
  return tensor.contents
}

function knownNumbers(tensor: Tensor): readonly number[] {
  return knownContents(tensor).map((item) => {
    if (typeof item !== 'number') throw shapeError(`${tensor.name} holds ${item}, where a number is needed`)
    return item
  })
}

/** Contents of an arithmetic result: operands of one length, or one of them a single number. */
function combineContents(
  a: readonly Dimension[] | undefined,
  b: readonly Dimension[] | undefined,
  combine: ((a: Dimension, b: Dimension) => Dimension | undefined) | undefined,
): readonly Dimension[] | undefined {
  if (a === undefined || b === undefined || combine === undefined) return undefined
  if (a.length !== b.length && a.length !== 1 && b.length !== 1) return undefined
  const results = Array.from({ length: Math.max(a.length, b.length) }, (_, index) => {
    const [left, right] = [a.length === 1 ? a[0] : a[index], b.length === 1 ? b[0] : b[index]]
    return left === undefined || right === undefined ? undefined : combine(left, right)
  })
  return results.every((item) => item !== undefined) ? results : undefined
}

/** Matrix product over the last two axes, the axes before broadcast. */
function productShape(a: Shape, b: Shape): Shape {
  if (a.length < 2 || b.length < 2 || sizeAt(a, -1) !== sizeAt(b, -2)) {
    throw shapeError(`${shapeText(a)} and ${shapeText(b)} cannot be multiplied`)
  }
  return [...broadcast(a.slice(0, -2), b.slice(0, -2)), sizeAt(a, -2), sizeAt(b, -1)]
}

/** Reshape's target with 0 (keep) and -1 (what is left) resolved. */
function reshaped(shape: Shape, target: readonly Dimension[]): Shape {
  const kept = target.map((size, axis) => (size === 0 ? sizeAt(shape, axis) : size))
  const open = kept.indexOf(-1)
  const whole = elementCount(shape)
  if (open < 0) {
    if (elementCount(kept) !== whole)
      throw shapeError(`${shapeText(shape)} does not reshape to ${shapeText(target)}`)
    return kept
  }
  const rest = divide(whole, elementCount(replaceAxis(kept, open, [])))
  if (rest === undefined) throw shapeError(`${shapeText(shape)} does not reshape to ${shapeText(target)}`)
  return replaceAxis(kept, open, [rest])
}

function slicedSize(size: Dimension, start: Dimension, end: Dimension, step: number): Dimension {
  if (typeof size === 'number' && typeof start === 'number' && typeof end === 'number' && step > 0) {
    const clamp = (place: number): number => Math.min(Math.max(place < 0 ? place + size : place, 0), size)
    return Math.max(0, Math.ceil((clamp(end) - clamp(start)) / step))
  }
  if (start === 0 && step === 1) {
    // A symbolic end is taken to lie inside: slicing a position table to the sequence length.
    if (typeof end === 'string') return end
    if (end >= Number.MAX_SAFE_INTEGER) return size
  }
  return `(${size}[${start}:${end}:${step}])`
}
