import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Random, seededRandom } from '../../../src/core/random.ts'
import { GraphBuilder, toTheEnd } from '../../../src/graph/builder.ts'
import { addGradients } from '../../../src/graph/gradient/backward.ts'
import type { ForwardOp } from '../../../src/graph/gradient/rule.ts'
import type { Shape } from '../../../src/graph/shape.ts'
import { type Tensor, encodeNumbers } from '../../../src/graph/tensor.ts'
import { graphRunner } from '../../support/run-graph.ts'

interface Case {
  readonly what?: string
  /** Shapes of the inputs; `rows` is a size that the graph does not know. */
  readonly inputs: readonly Shape[]
  readonly build: (g: GraphBuilder, ...inputs: [Tensor, Tensor, Tensor]) => Tensor
  /** Where the inputs are drawn from; away from kinks and poles. */
  readonly draw?: (random: Random) => number
}

const rows = 3
const positive = (random: Random): number => 0.5 + random.next()
const awayFromZero = (random: Random): number => (random.next() < 0.5 ? -1 : 1) * positive(random)
const indices = (g: GraphBuilder, shape: readonly number[], values: readonly number[]): Tensor =>
  g.initializer('indices', 'int64', shape, encodeNumbers('int64', values))
const condition = (g: GraphBuilder): Tensor =>
  g.initializer('condition', 'bool', [1, 2], encodeNumbers('bool', [1, 0]))

const binary = (op: 'Add' | 'Sub' | 'Mul' | 'Div' | 'Pow' | 'Max' | 'Min', draw?: Case['draw']): Case[] =>
  [
    [
      ['rows', 2],
      ['rows', 2],
    ],
    [['rows', 2], [2]],
    [
      [1, 2],
      ['rows', 1],
    ],
    [[], ['rows', 2]],
  ].map((inputs) => ({
    what: JSON.stringify(inputs),
    inputs,
    build: (g, a, b) => g.apply(op, [a, b], {})[0],
    ...(draw === undefined ? {} : { draw }),
  }))
const unary = (
  op:
    | 'Neg'
    | 'Abs'
    | 'Sqrt'
    | 'Reciprocal'
    | 'Exp'
    | 'Log'
    | 'Erf'
    | 'Tanh'
    | 'Sigmoid'
    | 'Softplus'
    | 'Relu'
    | 'Identity',
  draw?: Case['draw'],
): Case[] => [
  {
    inputs: [['rows', 2]],
    build: (g, x) => g.apply(op, [x], {})[0],
    ...(draw === undefined ? {} : { draw }),
  },
]
const reduction = (op: 'ReduceSum' | 'ReduceMean' | 'ReduceMax' | 'ReduceSumSquare'): Case[] =>
  [
    { axes: [0], keepdims: 1 as const },
    { axes: [-1], keepdims: 0 as const },
    { axes: [0, 2], keepdims: 0 as const },
  ].map(({ axes, keepdims }) => ({
    what: `axes ${axes.join()} keepdims ${keepdims}`,
    inputs: [['rows', 2, 4]],
    build: (g, x) => g.apply(op, [x, g.integers(axes)], { keepdims })[0],
  }))

/** Total over the operators: a rule without a check does not compile. */
const cases: { readonly [O in ForwardOp]: readonly Case[] } = {
  Add: binary('Add'),
  Sub: binary('Sub'),
  Mul: binary('Mul'),
  Div: binary('Div', awayFromZero),
  Pow: binary('Pow', positive),
  Max: binary('Max'),
  Min: binary('Min'),
  Neg: unary('Neg'),
  Abs: unary('Abs', awayFromZero),
  Sqrt: unary('Sqrt', positive),
  Reciprocal: unary('Reciprocal', awayFromZero),
  Exp: unary('Exp'),
  Log: unary('Log', positive),
  Erf: unary('Erf'),
  Tanh: unary('Tanh'),
  Sigmoid: unary('Sigmoid'),
  Softplus: unary('Softplus'),
  Relu: unary('Relu', awayFromZero),
  Gelu: (['none', 'tanh'] as const).map((approximate) => ({
    what: approximate,
    inputs: [['rows', 4]],
    build: (g, x) => g.apply('Gelu', [x], { approximate })[0],
  })),
  Identity: unary('Identity'),
  Cast: [{ inputs: [['rows', 2]], build: (g, x) => g.cast(g.cast(x, 'float16'), 'float32') }],
  Where: [{ inputs: [['rows', 2], [2]], build: (g, a, b) => g.apply('Where', [condition(g), a, b], {})[0] }],
  MatMul: [
    {
      what: 'matrices',
      inputs: [
        ['rows', 2],
        [2, 4],
      ],
      build: (g, a, b) => g.matMul(a, b),
    },
    {
      what: 'a weight under a batch',
      inputs: [
        ['rows', 2, 3],
        [3, 4],
      ],
      build: (g, a, b) => g.matMul(a, b),
    },
    {
      what: 'a batch each',
      inputs: [
        ['rows', 2, 3],
        ['rows', 3, 2],
      ],
      build: (g, a, b) => g.matMul(a, b),
    },
    {
      what: 'a batch that broadcasts',
      inputs: [
        ['rows', 2, 3],
        [1, 3, 2],
      ],
      build: (g, a, b) => g.matMul(a, b),
    },
  ],
  Gemm: ([0, 1] as const).flatMap((transA) =>
    ([0, 1] as const).map((transB) => ({
      what: `transA ${transA} transB ${transB}`,
      inputs: [transA === 1 ? [2, 'rows'] : ['rows', 2], transB === 1 ? [4, 2] : [2, 4], [4]],
      build: (g: GraphBuilder, a: Tensor, b: Tensor, c: Tensor) =>
        g.apply('Gemm', [a, b, c], { transA, transB, alpha: 0.5, beta: 2 })[0],
    })),
  ),
  Softmax: [-1, 0].map((axis) => ({
    what: `axis ${axis}`,
    inputs: [['rows', 4]],
    build: (g, x) => g.softmax(x, axis),
  })),
  LogSoftmax: [{ inputs: [['rows', 4]], build: (g, x) => g.apply('LogSoftmax', [x], { axis: -1 })[0] }],
  LayerNormalization: [
    {
      inputs: [['rows', 2, 5], [5], [5]],
      build: (g, x, scale, bias) => g.layerNormalization(x, scale, bias, 1e-5),
    },
  ],
  ReduceSum: reduction('ReduceSum'),
  ReduceMean: reduction('ReduceMean'),
  ReduceMax: reduction('ReduceMax'),
  ReduceSumSquare: reduction('ReduceSumSquare'),
  Reshape: [{ inputs: [['rows', 2, 4]], build: (g, x) => g.reshape(x, [-1, 4]) }],
  Transpose: [{ inputs: [['rows', 2, 4]], build: (g, x) => g.transpose(x, [2, 0, 1]) }],
  Expand: [
    {
      inputs: [
        [1, 2],
        ['rows', 2],
      ],
      build: (g, x, like) => g.mul(g.apply('Expand', [x, g.shape(like)], {})[0], like),
    },
  ],
  Squeeze: [{ inputs: [['rows', 1, 2]], build: (g, x) => g.squeeze(x, [1]) }],
  Unsqueeze: [{ inputs: [['rows', 2]], build: (g, x) => g.unsqueeze(x, [0, 2]) }],
  Concat: [
    {
      what: 'along a known axis',
      inputs: [
        ['rows', 2],
        ['rows', 1],
      ],
      build: (g, a, b) => g.concat([a, b, a], 1),
    },
    {
      what: 'along an unknown axis',
      inputs: [
        ['rows', 2],
        [1, 2],
      ],
      build: (g, a, b) => g.concat([b, a], 0),
    },
  ],
  Slice: [
    { what: 'inside', inputs: [['rows', 5]], build: (g, x) => g.slice(x, 1, 1, 3) },
    { what: 'from the end', inputs: [['rows', 5]], build: (g, x) => g.slice(x, 1, -2, toTheEnd) },
    {
      what: 'to a size',
      inputs: [
        [7, 2],
        ['rows', 2],
      ],
      build: (g, x, like) => g.mul(g.slice(x, 0, 0, g.sizeOf(like, 0)), like),
    },
  ],
  Gather: [
    {
      what: 'rows, one of them twice',
      inputs: [[4, 2]],
      build: (g, x) => g.gather(x, indices(g, [2, 2], [3, 1, 1, 0]), 0),
    },
    { what: 'columns', inputs: [['rows', 4, 2]], build: (g, x) => g.gather(x, indices(g, [2], [3, 3]), 1) },
    { what: 'one row away', inputs: [['rows', 4]], build: (g, x) => g.gather(x, indices(g, [], [2]), 1) },
  ],
}

const count = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1)

/** The loss sum(weights x results), its gradients, and how it changes along a random direction. */
async function checkAlongRandomDirection({ inputs, build, draw }: Case, random: Random): Promise<void> {
  const g = new GraphBuilder('check')
  const tensors = inputs.map((shape, index) => g.input(`x${index}`, 'float32', shape))
  const result = build(g, ...(tensors as [Tensor, Tensor, Tensor]))
  const weights = g.input('weights', 'float32', result.shape)
  const weighted = g.mul(result, weights)
  const axes = result.shape.map((_size, axis) => axis)
  const loss = axes.length === 0 ? weighted : g.reduceSum(weighted, axes, 0)
  g.output('result', result)
  g.output('loss', loss)
  addGradients(g, loss, tensors).forEach((gradient, index) => {
    assert.deepEqual(gradient.shape, tensors[index]?.shape, `shape of gradient ${index}`)
    g.output(`gradient${index}`, gradient)
  })
  const run = await graphRunner(g.build())

  const concrete = (shape: Shape) => shape.map((size) => (typeof size === 'number' ? size : rows))
  const fill = (shape: Shape, sample: () => number) => {
    const sizes = concrete(shape)
    return { shape: sizes, values: Float32Array.from({ length: count(sizes) }, sample) }
  }
  const points = inputs.map((shape) =>
    fill(shape, () => (draw === undefined ? random.normal() : draw(random))),
  )
  const directions = inputs.map((shape) => fill(shape, () => random.normal()))
  const resultShape = result.shape.map((size) =>
    typeof size === 'number' ? size : size === 'rows' ? rows : undefined,
  )
  const resultSize = resultShape.every((size) => size !== undefined)
    ? resultShape
    : // a product or sum of symbols: what the cases above make of 3 rows
      result.shape.map((size) => (typeof size === 'number' ? size : size === '2*rows' ? 2 * rows : 1 + rows))
  const chosenWeights = {
    shape: resultSize,
    values: Float32Array.from({ length: count(resultSize) }, () => random.normal()),
  }
  const at = async (step: number) => {
    const moved = points.map(({ shape, values }, index) => ({
      shape,
      values: values.map((value, cell) => value + step * (directions[index]?.values[cell] ?? 0)),
    }))
    return run({
      ...Object.fromEntries(moved.map((array, index) => [`x${index}`, array])),
      weights: chosenWeights,
    })
  }
  const h = 2e-3
  const [here, ahead, behind] = [await at(0), await at(h), await at(-h)]
  const measured = ((ahead.loss?.[0] ?? NaN) - (behind.loss?.[0] ?? NaN)) / (2 * h)
  const predicted = directions.reduce(
    (sum, { values }, index) =>
      values.reduce((inner, value, cell) => inner + value * (here[`gradient${index}`]?.[cell] ?? NaN), sum),
    0,
  )
  assert.ok(
    Math.abs(measured - predicted) < 0.01 * (1 + Math.abs(measured)),
    `the loss changes by ${measured}, the gradient says ${predicted}`,
  )
}

for (const [op, opCases] of Object.entries(cases)) {
  for (const [index, check] of opCases.entries()) {
    test(`the gradient of ${op} is the slope of the loss (${check.what ?? 'rows x 2'})`, async () => {
      const random = seededRandom(17 + index)
      // Half precision moves in steps wider than the difference quotient's, so Cast is checked for its gradient only.
      if (op === 'Cast') return checkCast(check)
      for (let repeat = 0; repeat < 3; repeat++) await checkAlongRandomDirection(check, random)
    })
  }
}

async function checkCast({ build }: Case): Promise<void> {
  const g = new GraphBuilder('cast')
  const x = g.input('x', 'float32', ['rows', 2])
  const loss = g.reduceSum(build(g, x, x, x), [0, 1], 0)
  g.output('loss', loss)
  addGradients(g, loss, [x]).forEach((gradient) => g.output('gradient', gradient))
  const run = await graphRunner(g.build())
  const { gradient } = await run({ x: { shape: [1, 2], values: Float32Array.of(1, 2) } })
  assert.deepEqual(gradient, Float32Array.of(1, 1))
}
