import { inferenceRules } from './infer.ts'
import type { AnyNode, Op, Operators } from './operators.ts'
import { elementCount, shapeError, shapeText } from './shape.ts'
import type { Dimension, Shape } from './shape.ts'
import { elementTypes, encodeNumbers } from './tensor.ts'
import type { ElementType, Initializer, Tensor, TensorType } from './tensor.ts'

/** A finished graph: nodes in an order in which they can run. */
export interface Graph {
  readonly name: string
  readonly inputs: readonly Tensor[]
  readonly initializers: readonly Initializer[]
  readonly nodes: readonly AnyNode[]
  readonly outputs: readonly Tensor[]
}

/** "To the end" for slices: the largest end that a number holds exactly. */
export const toTheEnd = Number.MAX_SAFE_INTEGER

/**
 * Builds one graph, operator by operator, and infers every tensor's element type and shape on the way.
 * Methods are named after ONNX operators. All throw INTERNAL when types or shapes do not fit.
 */
export class GraphBuilder {
  readonly #name: string
  readonly #inputs: Tensor[] = []
  readonly #initializers: Initializer[] = []
  readonly #nodes: AnyNode[] = []
  readonly #outputs: Tensor[] = []
  readonly #names = new Set<string>()
  readonly #constants = new Map<string, Tensor>()
  #scope = ''
  #counter = 0

  constructor(name: string) {
    this.#name = name
  }

  /** Names made inside `body` start with `scope/`. */
  within<T>(scope: string, body: () => T): T {
    const outer = this.#scope
    this.#scope = `${outer}${scope}/`
    try {
      return body()
    } finally {
      this.#scope = outer
    }
  }

  input(name: string, type: ElementType, shape: Shape): Tensor {
    const tensor = { name: this.#claim(name), type, shape }
    this.#inputs.push(tensor)
    return tensor
  }

  /** Values that are part of the model, row-major; `data` is kept as a view. */
  initializer(name: string, type: ElementType, shape: readonly number[], data: Uint8Array): Tensor {
    const expected = Number(elementCount(shape)) * elementTypes[type].bytes
    if (data.byteLength !== expected) {
      throw shapeError(
        `${name} has ${data.byteLength} bytes, ${shapeText(shape)} of ${type} needs ${expected}`,
      )
    }
    const tensor = { name: this.#claim(name), type, shape, data }
    this.#initializers.push(tensor)
    return tensor
  }

  /** Small integers of rank 1, such as axes and shapes. Equal ones share a tensor. */
  integers(values: readonly number[]): Tensor {
    return this.#constant('int64', [values.length], values)
  }

  /** One number of rank 0. Equal ones share a tensor. */
  scalar(value: number, type: ElementType = 'float32'): Tensor {
    return this.#constant(type, [], [value])
  }

  /** Adds an operator and returns its results. */
  apply<O extends Op>(
    op: O,
    inputs: Operators[O]['inputs'],
    attributes: Operators[O]['attributes'],
  ): Operators[O]['outputs'] {
    const types: readonly TensorType[] = this.#infer(op, inputs, attributes)
    const base = `${this.#scope}${op}_${this.#counter++}`
    const outputs = types.map((type, index) => ({
      ...type,
      name: this.#claim(index === 0 ? base : `${base}_${index}`),
    })) as unknown as Operators[O]['outputs']
    this.#nodes.push({ op, inputs, attributes, outputs } as unknown as AnyNode)
    return outputs
  }

  /** Declares a result of the graph, under a name of its own. */
  output(name: string, tensor: Tensor): void {
    const renamed = { ...tensor, name: this.#claim(name) }
    this.#nodes.push({ op: 'Identity', inputs: [tensor], attributes: {}, outputs: [renamed] })
    this.#outputs.push(renamed)
  }

  /** The finished graph, without nodes and initializers that no output needs. */
  build(): Graph {
    const needed = new Set(this.#outputs.map(({ name }) => name))
    const nodes = this.#nodes
      .toReversed()
      .filter(({ inputs, outputs }) => {
        const isNeeded = outputs.some(({ name }) => needed.has(name))
        if (isNeeded) for (const input of inputs) if (input !== undefined) needed.add(input.name)
        return isNeeded
      })
      .toReversed()
    const initializers = this.#initializers.filter(({ name }) => needed.has(name))
    return { name: this.#name, inputs: this.#inputs, initializers, nodes, outputs: this.#outputs }
  }

  add = (a: Tensor, b: Tensor): Tensor => this.apply('Add', [a, b], {})[0]
  sub = (a: Tensor, b: Tensor): Tensor => this.apply('Sub', [a, b], {})[0]
  mul = (a: Tensor, b: Tensor): Tensor => this.apply('Mul', [a, b], {})[0]
  div = (a: Tensor, b: Tensor): Tensor => this.apply('Div', [a, b], {})[0]
  max = (a: Tensor, b: Tensor): Tensor => this.apply('Max', [a, b], {})[0]
  matMul = (a: Tensor, b: Tensor): Tensor => this.apply('MatMul', [a, b], {})[0]
  sigmoid = (x: Tensor): Tensor => this.apply('Sigmoid', [x], {})[0]
  tanh = (x: Tensor): Tensor => this.apply('Tanh', [x], {})[0]
  relu = (x: Tensor): Tensor => this.apply('Relu', [x], {})[0]
  cast = (x: Tensor, to: ElementType): Tensor => (x.type === to ? x : this.apply('Cast', [x], { to })[0])
  softmax = (x: Tensor, axis: number): Tensor => this.apply('Softmax', [x], { axis })[0]
  shape = (x: Tensor): Tensor => this.apply('Shape', [x], {})[0]
  transpose = (x: Tensor, perm: readonly number[]): Tensor => this.apply('Transpose', [x], { perm })[0]
  gather = (x: Tensor, indices: Tensor, axis: number): Tensor =>
    this.apply('Gather', [x, indices], { axis })[0]
  concat = (inputs: readonly Tensor[], axis: number): Tensor => this.apply('Concat', inputs, { axis })[0]

  /** `x` times the transpose of `weight` [out, in], plus `bias` [out]: a linear layer over [rows, in]. */
  linear(x: Tensor, weight: Tensor, bias: Tensor | undefined): Tensor {
    return this.apply('Gemm', [x, weight, bias], { transB: 1 })[0]
  }

  /** To a shape in numbers (0 keeps the size, -1 takes what is left) or in an int64 tensor. */
  reshape(x: Tensor, shape: readonly number[] | Tensor): Tensor {
    return this.apply('Reshape', [x, 'name' in shape ? shape : this.integers(shape)], {})[0]
  }

  unsqueeze(x: Tensor, axes: readonly number[]): Tensor {
    return this.apply('Unsqueeze', [x, this.integers(axes)], {})[0]
  }

  squeeze(x: Tensor, axes: readonly number[]): Tensor {
    return this.apply('Squeeze', [x, this.integers(axes)], {})[0]
  }

  reduceSum(x: Tensor, axes: readonly number[], keepdims: 0 | 1): Tensor {
    return this.apply('ReduceSum', [x, this.integers(axes)], { keepdims })[0]
  }

  /** Elements start..end (exclusive) along one axis; limits as numbers or as int64 tensors of rank 1. */
  slice(x: Tensor, axis: number, start: number | Tensor, end: number | Tensor): Tensor {
    const limit = (place: number | Tensor): Tensor =>
      typeof place === 'number' ? this.integers([place]) : place
    const inputs = [x, limit(start), limit(end), this.integers([axis]), this.integers([1])] as const
    return this.apply('Slice', inputs, {})[0]
  }

  /** The size along one axis, an int64 tensor of rank 1. */
  sizeOf(x: Tensor, axis: number): Tensor {
    return this.gather(this.shape(x), this.integers([axis]), 0)
  }

  layerNormalization(x: Tensor, scale: Tensor, bias: Tensor, epsilon: number): Tensor {
    return this.apply('LayerNormalization', [x, scale, bias], { axis: -1, epsilon })[0]
  }

  #infer<O extends Op>(
    op: O,
    inputs: Operators[O]['inputs'],
    attributes: Operators[O]['attributes'],
  ): readonly TensorType[] {
    return inferenceRules[op](inputs, attributes)
  }

  #constant(type: ElementType, shape: readonly number[], values: readonly Dimension[]): Tensor {
    const spelled = values.map((value) => (Object.is(value, -0) ? '-0' : value))
    const key = `${type}:${shape.length}:${spelled.join(',')}`
    const shared = this.#constants.get(key)
    if (shared !== undefined) return shared
    const numbers = values.map(Number)
    const data = encodeNumbers(type, numbers)
    const name = this.#claim(`constant_${this.#constants.size}`)
    const integers = type === 'int64' || type === 'int32'
    const tensor: Initializer = { name, type, shape, data, ...(integers ? { contents: numbers } : {}) }
    this.#initializers.push(tensor)
    this.#constants.set(key, tensor)
    return tensor
  }

  #claim(name: string): string {
    if (this.#names.has(name)) throw shapeError(`the name ${name} is taken`)
    this.#names.add(name)
    return name
  }
}
