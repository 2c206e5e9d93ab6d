/**
 * Milliseconds of one AdamW step on so many parameters, by vectors and one number after the other, in turn:
 * `node build/test/bench/adamw-cost.js [--parameters 11000000] [--rounds 9]`. Medians.
 */
import { parseArgs } from 'node:util'
import { table } from '../../src/commands/output.ts'
import { median } from '../../src/commands/percentile.ts'
import { monotonicMs } from '../../src/core/clock.ts'
import { adamWScalars } from '../../src/train/adamw.ts'
import { simdArithmetic } from '../../src/train/simd-arithmetic.ts'
import { plainArithmetic } from '../../src/train/vector-arithmetic.ts'
import { wholeNumber } from './program.ts'

const { values } = parseArgs({
  options: {
    parameters: { type: 'string', default: '11000000' },
    rounds: { type: 'string', default: '9' },
  },
})
const parameters = wholeNumber('parameters', values.parameters)
const rounds = wholeNumber('rounds', values.rounds)

const simd = await simdArithmetic({ numbers: 4 * parameters, arrays: 4 })
if (simd === undefined) throw new Error(`--parameters ${parameters} is more than 4 GiB hold`)
const scalars = adamWScalars(1, { rate: 1e-4, weightDecay: 0.01, clip: 0.5 })
const contenders = [
  { name: 'WebAssembly vectors', arithmetic: simd },
  { name: 'JavaScript', arithmetic: plainArithmetic },
].map(({ name, arithmetic }) => {
  const array = (): Float32Array => arithmetic.array(parameters)
  const arrays = { values: array(), first: array(), second: array(), gradients: array().fill(0.01) }
  return { name, arithmetic, arrays, milliseconds: [] as number[] }
})
// a first round is not counted: memory is taken and code compiled in it
for (let round = 0; round <= rounds; round++) {
  for (const { arithmetic, arrays, milliseconds } of contenders) {
    const startedMs = monotonicMs()
    arithmetic.adamW(arrays, scalars)
    if (round > 0) milliseconds.push(monotonicMs() - startedMs)
  }
}
process.stdout.write(
  `${table(
    ['', 'ms a step'],
    contenders.map(({ name, milliseconds }) => [name, median(milliseconds).toFixed(1)]),
  )}\n`,
)
