import wabt from 'wabt'
import { type VectorArithmetic, adamWBetas, plainArithmetic } from './vector-arithmetic.ts'

const lanes = 4
const pageBytes = 65_536
/** What 32-bit addresses reach. */
const mostPages = 65_536
/** Arrays start at multiples of a cache line. */
const alignment = 64

/** A WebAssembly expression. */
type Code = string

const get = (name: string): Code => `(local.get $${name})`
const add = (a: Code, b: Code): Code => `(f32x4.add ${a} ${b})`
const sub = (a: Code, b: Code): Code => `(f32x4.sub ${a} ${b})`
const mul = (a: Code, b: Code): Code => `(f32x4.mul ${a} ${b})`
const div = (a: Code, b: Code): Code => `(f32x4.div ${a} ${b})`
const sqrt = (a: Code): Code => `(f32x4.sqrt ${a})`
const set = (name: string, value: Code): Code => `(local.set $${name} ${value})`
const load = (array: string): Code => `(v128.load (i32.add ${get(array)} ${get('at')}))`
const store = (array: string, value: Code): Code =>
  `(v128.store (i32.add ${get(array)} ${get('at')}) ${value})`

/** x = keep x - rate m / (sqrt(v) + epsilon) */
const moveValues = (keep: string, rate: string): Code => {
  const push = div(mul(get(rate), get('m')), add(sqrt(get('v')), get('epsilon')))
  return store('values', sub(mul(get(keep), load('values')), push))
}

interface Kernel {
  /** Addresses. */
  readonly arrays: readonly string[]
  /** The same number in all lanes. */
  readonly scalars: readonly string[]
  readonly vectors?: readonly string[]
  /** For four elements at `at`. */
  readonly body: readonly Code[]
  readonly result?: Code
}

/** (arrays..., bytes, scalars...): the body for every four elements. */
function kernel(name: string, { arrays, scalars, vectors = [], body, result }: Kernel): Code {
  return `(func (export "${name}")
    ${arrays.map((array) => `(param $${array} i32)`).join(' ')} (param $bytes i32)
    ${scalars.map((scalar) => `(param $${scalar}_ f32)`).join(' ')} ${result === undefined ? '' : '(result f64)'}
    (local $at i32) ${[...scalars, ...vectors].map((vector) => `(local $${vector} v128)`).join(' ')}
    ${scalars.map((scalar) => set(scalar, `(f32x4.splat ${get(`${scalar}_`)})`)).join('\n')}
    (if (i32.eqz ${get('bytes')}) (then (return ${result ?? ''})))
    (loop $next
      ${body.join('\n')}
      ${set('at', `(i32.add ${get('at')} (i32.const 16))`)}
      (br_if $next (i32.lt_u ${get('at')} ${get('bytes')})))
    ${result ?? ''})`
}

const lane = (index: number): Code => `(f64x2.extract_lane ${index} ${get('sum')})`
const square = (half: Code): Code => {
  const wide = `(f64x2.promote_low_f32x4 ${half})`
  return set('sum', `(f64x2.add ${get('sum')} (f64x2.mul ${wide} ${wide}))`)
}

const kernels: readonly Code[] = [
  kernel('adamW', {
    arrays: ['values', 'first', 'second', 'gradients'],
    scalars: ['beta1', 'gain1', 'beta2', 'gain2', 'keep', 'rate', 'epsilon'],
    vectors: ['g', 'm', 'v'],
    body: [
      set('g', load('gradients')),
      set('m', add(mul(get('beta1'), load('first')), mul(get('gain1'), get('g')))),
      set('v', add(mul(get('beta2'), load('second')), mul(get('gain2'), mul(get('g'), get('g'))))),
      store('first', get('m')),
      store('second', get('v')),
      moveValues('keep', 'rate'),
    ],
  }),
  kernel('drift', {
    arrays: ['values', 'first', 'second'],
    scalars: ['kept', 'push', 'epsilon', 'factor1', 'factor2'],
    vectors: ['m', 'v'],
    body: [
      set('m', load('first')),
      set('v', load('second')),
      moveValues('kept', 'push'),
      store('first', mul(get('m'), get('factor1'))),
      store('second', mul(get('v'), get('factor2'))),
    ],
  }),
  kernel('add', {
    arrays: ['total', 'more'],
    scalars: [],
    body: [store('total', add(load('total'), load('more')))],
  }),
  kernel('blend', {
    arrays: ['average', 'values'],
    scalars: ['keep', 'rest'],
    body: [store('average', add(mul(get('keep'), load('average')), mul(get('rest'), load('values'))))],
  }),
  kernel('squaredNorm', {
    arrays: ['x'],
    scalars: [],
    vectors: ['f', 'sum'],
    body: [
      set('f', load('x')),
      square(get('f')),
      square(`(i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 ${get('f')} ${get('f')})`),
    ],
    result: `(f64.add ${lane(0)} ${lane(1)})`,
  }),
]

type Call = (...numbers: number[]) => number

interface Exports {
  readonly memory: WebAssembly.Memory
  readonly adamW: Call
  readonly drift: Call
  readonly add: Call
  readonly blend: Call
  readonly squaredNorm: Call
}

/**
 * Arithmetic by WebAssembly's vector instructions, with the results of `plainArithmetic` to the last bit (the norm but for its
 * order): on 11 million parameters AdamW took 7 ms, in ONNX Runtime 42 and in a loop of JavaScript 54
 * (docs/training.md). Room for `numbers` in `arrays` arrays is reserved, and taken where it is written. undefined where that is more
 * than 4 GiB.
 */
export async function simdArithmetic({
  numbers,
  arrays,
}: {
  readonly numbers: number
  readonly arrays: number
}): Promise<VectorArithmetic | undefined> {
  const pages = Math.ceil((numbers * Float32Array.BYTES_PER_ELEMENT + arrays * alignment) / pageBytes)
  if (pages > mostPages) return undefined
  const toolkit = await wabt()
  const text = `(module (memory (export "memory") ${pages} ${pages}) ${kernels.join('\n')})`
  const parsed = toolkit.parseWat('arithmetic', text, { simd: true })
  const { instance } = await WebAssembly.instantiate(new Uint8Array(parsed.toBinary({}).buffer))
  parsed.destroy()
  return over(instance.exports as Exports)
}

const sizeOf = (length: number): number =>
  Math.ceil((length * Float32Array.BYTES_PER_ELEMENT) / alignment) * alignment

function over({ memory, ...call }: Exports): VectorArithmetic {
  const { buffer } = memory
  let taken = 0
  const array = (length: number): Float32Array => {
    const taking = new Float32Array(buffer, taken, length)
    taken += sizeOf(length)
    return taking
  }
  /** `code` for the addresses and the bytes of whole vectors, then `rest` for the few elements behind these. */
  const onAll = <Arrays extends Readonly<Record<string, Float32Array>>>(
    arrays: Arrays,
    code: (...addressesAndBytes: number[]) => void,
    rest: (tails: Arrays) => void,
  ): void => {
    const all = Object.values(arrays)
    const length = all[0]?.length ?? 0
    if (all.some((one) => one.buffer !== buffer || one.length !== length)) {
      throw new RangeError('arrays of another memory, or of different lengths')
    }
    const whole = length - (length % lanes)
    code(...all.map(({ byteOffset }) => byteOffset), whole * Float32Array.BYTES_PER_ELEMENT)
    if (whole === length) return
    const tails = Object.entries(arrays).map(([name, one]) => [name, one.subarray(whole)] as const)
    rest(Object.fromEntries(tails) as unknown as Arrays)
  }
  return {
    array,
    adamW: ({ values, first, second, gradients }, scalars) => {
      const { clip, keep, rate, epsilon } = scalars
      const { beta1, beta2 } = adamWBetas
      onAll(
        { values, first, second, gradients },
        (...at) => {
          call.adamW(...at, beta1, (1 - beta1) * clip, beta2, (1 - beta2) * clip * clip, keep, rate, epsilon)
        },
        (tails) => {
          plainArithmetic.adamW(tails, scalars)
        },
      )
    },
    drift: ({ values, first, second }, scalars) => {
      onAll(
        { values, first, second },
        (...at) => {
          call.drift(...at, scalars.kept, scalars.push, scalars.epsilon, scalars.first, scalars.second)
        },
        (tails) => {
          plainArithmetic.drift(tails, scalars)
        },
      )
    },
    add: (total, more) => {
      onAll({ total, more }, call.add, (tails) => {
        plainArithmetic.add(tails.total, tails.more)
      })
    },
    blend: (average, values, keep) => {
      onAll(
        { average, values },
        (...at) => {
          call.blend(...at, keep, 1 - keep)
        },
        (tails) => {
          plainArithmetic.blend(tails.average, tails.values, keep)
        },
      )
    },
    squaredNorm: (x) => {
      let sum = 0
      onAll(
        { x },
        (...at) => {
          sum += call.squaredNorm(...at)
        },
        (tails) => {
          sum += plainArithmetic.squaredNorm(tails.x)
        },
      )
      return sum
    },
  }
}
