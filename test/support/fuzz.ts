import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { type Random, seededRandom } from '../../src/core/random.ts'

/** Cases of each fuzz test: 2,000 beside the other tests, FUZZ_CASES of them in `npm run test:fuzz`. */
export const fuzzCases = Number(process.env['FUZZ_CASES'] ?? 2_000)
/** The same seed and number of cases give the same cases. */
export const fuzzSeed = Number(process.env['FUZZ_SEED'] ?? 1)

/** Text that parsers stumble over, of all the languages that are read here. */
const awkward: readonly string[] = [
  ...[
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    '\\u',
    '\\ud800',
    '\u0000',
    '\n',
    '\r',
    '\t',
    '\ufeff',
    '\u2028',
  ],
  ...[
    'null',
    'true',
    'NaN',
    'Infinity',
    '-1',
    '-0',
    '1e309',
    '1e-400',
    '0.1',
    '4294967296',
    '9007199254740993',
  ],
  ...[
    '99999999999999999999',
    '"__proto__":{"x":1},',
    '"constructor":',
    '"length":',
    '[[[[[[[[',
    '{"a":{"a":{"a":',
  ],
  ...[
    '- - - ',
    '? ',
    '&a ',
    '*a',
    '!!binary ',
    '!<tag:x>',
    '%YAML 1.1\n---\n',
    '<<: *a',
    '| \n',
    '>-\n ',
    '# ',
    '---\n',
  ],
  ...[
    '../',
    '/dev/zero',
    '\ud83d\ude00',
    'a'.repeat(300),
    '('.repeat(30),
    '(a+)+$',
    '\\p{L}',
    '\u0301'.repeat(40),
  ],
]

const awkwardBytes: readonly number[] = [0, 1, 2, 3, 0x7f, 0x80, 0x81, 0xc3, 0xed, 0xfe, 0xff]

/** Numbers and values that no sensible file holds. Copied where they are used: what is damaged next is the copy. */
const awkwardValues: readonly unknown[] = [
  ...[null, true, false, '', 'x', '\ud800', '__proto__', 'a'.repeat(5_000), [], {}, [[]], [null], { a: 1 }],
  ...[
    0,
    -0,
    1,
    -1,
    0.5,
    2,
    3,
    255,
    65_536,
    100_000,
    10_000_000,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32,
    2 ** 53 - 1,
    2 ** 53,
  ],
  ...[-(2 ** 31), 1e-320, 1e300, 1e308, -1e308],
]

const largestCase = 300_000

/** Damages real inputs: bits, cuts, splices, repetitions, foreign pieces; in JSON also values, keys and whole branches. */
export class Mutator {
  readonly #random: Random
  readonly #seeds: readonly Buffer[]

  constructor(random: Random, seeds: readonly Buffer[]) {
    this.#random = random
    this.#seeds = seeds
  }

  /** A damaged copy of one of the seeds. */
  next(): Buffer {
    let bytes: Buffer = this.#pick(this.#seeds) ?? Buffer.alloc(0)
    const json = this.#random.next() < 0.5 ? parsedJson(bytes) : undefined
    if (json !== undefined) {
      const document = [structuredClone(json)]
      for (let times = 1 + this.#random.integer(3); times > 0; times--) this.#damageValue(document)
      bytes = Buffer.from(JSON.stringify(document[0]) ?? '')
      if (this.#random.next() < 0.9) return bytes
    }
    for (let times = 1 + this.#random.integer(4); times > 0; times--) bytes = this.#damage(bytes)
    return bytes.subarray(0, largestCase)
  }

  #damage(bytes: Buffer): Buffer {
    const at = this.#random.integer(bytes.length + 1)
    const length = this.#random.integer(Math.min(1_000, bytes.length - at + 1))
    const [before, middle, after] = [
      bytes.subarray(0, at),
      bytes.subarray(at, at + length),
      bytes.subarray(at + length),
    ]
    switch (this.#random.integer(9)) {
      case 0: {
        const copy = Buffer.from(bytes)
        for (let flips = 1 + this.#random.integer(8); flips > 0; flips--) {
          const index = this.#random.integer(copy.length)
          copy[index] = (copy[index] ?? 0) ^ (1 << this.#random.integer(8))
        }
        return copy
      }
      case 1:
        return before
      case 2:
        return Buffer.concat([before, after])
      case 3:
        return Buffer.concat([
          before,
          ...Array.from({ length: 1 + this.#random.integer(50) }, () => middle),
          after,
        ])
      case 4: {
        const other = this.#pick(this.#seeds) ?? bytes
        return Buffer.concat([before, other.subarray(this.#random.integer(other.length + 1))])
      }
      case 5:
        return Buffer.concat([before, Buffer.from(this.#pick(awkward) ?? ''), after])
      case 6:
        return Buffer.concat([
          before,
          Buffer.from((this.#pick(awkward) ?? '').repeat(this.#random.integer(500))),
          after,
        ])
      case 7:
        return Buffer.concat([before, Buffer.from([this.#pick(awkwardBytes) ?? 0]), bytes.subarray(at + 1)])
      default:
        return Buffer.concat([before, Buffer.from(middle.map(() => this.#random.integer(256))), after])
    }
  }

  /** Changes one place below `node`, near the root as likely as deep inside. */
  #damageValue(node: unknown[] | Record<string, unknown>): void {
    let holder: unknown[] | Record<string, unknown> = node
    for (;;) {
      const keys = Object.keys(holder)
      const key = keys[this.#random.integer(keys.length)]
      if (key === undefined) return
      const child = (holder as Record<string, unknown>)[key]
      if (typeof child === 'object' && child !== null && this.#random.next() < 0.75) {
        holder = child as Record<string, unknown>
        continue
      }
      this.#change(holder as Record<string, unknown>, key, keys)
      return
    }
  }

  #change(holder: Record<string, unknown>, key: string, keys: readonly string[]): void {
    const value = holder[key]
    switch (this.#random.integer(6)) {
      case 0:
        if (Array.isArray(holder)) holder.splice(Number(key), 1)
        else Reflect.deleteProperty(holder, key)
        return
      case 1:
        holder[this.#pick(['__proto__x', 'x', '0', '-1', '1e3', ...keys]) ?? ''] = value
        return
      case 2:
        if (typeof value === 'number') holder[key] = value * (this.#pick([-1, 2, 0.5, 10, 1_000, 1e6]) ?? 1)
        else holder[key] = structuredClone(this.#pick(awkwardValues))
        return
      case 3:
        // itself, below itself: thirty deep
        holder[key] = Array.from({ length: this.#random.integer(30) }).reduce<unknown>(
          (inner) =>
            Array.isArray(value) ? [inner] : { ...(typeof value === 'object' ? value : {}), [key]: inner },
          value,
        )
        return
      case 4:
        if (Array.isArray(value)) value.push(...(value as unknown[]).slice(0, 200))
        else holder[key] = structuredClone(this.#pick(Object.values(holder)))
        return
      default:
        holder[key] = structuredClone(this.#pick(awkwardValues))
    }
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[this.#random.integer(from.length)]
  }
}

function parsedJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

export interface FuzzTarget {
  /** Real inputs; the cases are damaged copies of them. */
  readonly seeds: readonly Buffer[]
  /** Returns what was read, or throws a LabelstreamError. Anything else is a bug. */
  readonly read: (bytes: Buffer) => unknown
  /** Of `fuzzCases`; 1 by default, less for what is slow. */
  readonly share?: number
}

/** One case that takes longer than this hangs, for whoever waits. */
const longestCaseMs = 10_000
const mostGrowthBytes = 700 * 1_048_576

/**
 * Reads damaged copies of the seeds. Each must be read or refused with a LabelstreamError of one line, within
 * seconds, and memory must not keep growing. Reports how many were accepted and refused.
 */
export async function survives(t: TestContext, { seeds, read, share = 1 }: FuzzTarget): Promise<void> {
  const mutator = new Mutator(seededRandom(fuzzSeed), seeds)
  const cases = Math.max(20, Math.round(fuzzCases * share))
  const refused = new Map<string, number>()
  let accepted = 0
  let slowestMs = 0
  let memoryAtStart = 0
  for (const seed of seeds) await read(seed)
  for (let index = 0; index < cases; index++) {
    const bytes = mutator.next()
    const startedMs = performance.now()
    try {
      const result = read(bytes)
      if (result instanceof Promise) await result
      accepted++
    } catch (error) {
      const code = refusalOf(error, `case ${index} of seed ${fuzzSeed}`, bytes)
      refused.set(code, (refused.get(code) ?? 0) + 1)
    }
    const tookMs = performance.now() - startedMs
    slowestMs = Math.max(slowestMs, tookMs)
    if (tookMs > longestCaseMs)
      assert.fail(`case ${index} of seed ${fuzzSeed} took ${tookMs} ms: ${shown(bytes)}`)
    if (index % 500 === 499) {
      const { rss } = process.memoryUsage()
      memoryAtStart ||= rss
      assert.ok(rss < memoryAtStart + mostGrowthBytes, `memory grew to ${rss} bytes by case ${index}`)
      // a test that only computes would starve the runner's own messages
      await new Promise(setImmediate)
    }
  }
  const codes = [...refused].map(([code, count]) => `${code} ${count}`).join(', ')
  t.diagnostic(
    `${cases} cases of seed ${fuzzSeed}: ${accepted} read, refused: ${codes}; slowest ${slowestMs.toFixed(0)} ms`,
  )
  assert.ok(refused.size > 0, 'no case was refused: the damage does not reach the parser')
}

/** The error's code, when it is one that a user may see. */
export function refusalOf(error: unknown, where: string, input: Buffer): string {
  const fault = !(error instanceof LabelstreamError)
    ? 'is not a LabelstreamError'
    : error.code === 'INTERNAL'
      ? 'is INTERNAL'
      : /[\r\n]/.test(error.message)
        ? 'has more than one line'
        : error.message.length > 2_000
          ? 'is longer than 2,000 characters'
          : undefined
  if (fault === undefined && error instanceof LabelstreamError) return error.code
  throw new Error(
    `${where}: what was thrown ${String(fault)}: ${String(error).slice(0, 500)}; input ${shown(input)}`,
    {
      cause: error,
    },
  )
}

const shown = (bytes: Buffer): string =>
  `of ${bytes.length} bytes, base64 ${bytes.subarray(0, 3_000).toString('base64')}`
