/**
 * One member under steady load, while another joins and leaves every minute and the champion changes every two:
 * does its memory grow, do files stay open, does it keep up, and is everything there once in the end?
 */
import { writeFile } from 'node:fs/promises'
import { monotonicMs } from '../../src/core/clock.ts'
import type { DeliveryMode } from '../fault/checker.ts'
import { startFaultWorld } from '../fault/world.ts'
import { programArguments } from '../support/program-arguments.ts'
import { soakPicture } from './picture.ts'
import { soakLines, soakReport } from './report.ts'
import { runSoak } from './run.ts'

const usage =
  'npm run test:soak [-- --minutes N --load SHARE --delivery MODE --seed N --small --svg FILE --json]'
const { values } = programArguments(usage, {
  options: {
    minutes: { type: 'string', default: '60' },
    load: { type: 'string', default: '0.7' },
    delivery: { type: 'string', default: 'exactly-once' },
    seed: { type: 'string' },
    small: { type: 'boolean', default: false },
    svg: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const modes: readonly string[] = ['at-least-once', 'exactly-once'] satisfies DeliveryMode[]
if (!modes.includes(values.delivery)) throw new Error(`--delivery is one of ${modes.join(', ')}`)

const seed = Number(values.seed ?? Date.now() % 1_000_000)
const startedMs = monotonicMs()
const say = (text: string): void => {
  process.stderr.write(`${((monotonicMs() - startedMs) / 60_000).toFixed(1)} min  ${text}\n`)
}
const world = await startFaultWorld(seed, { nodes: 1 })
say(`seed ${seed}; logs in ${world.folder}`)
let failures: number
try {
  const run = await runSoak(world, {
    minutes: Number(values.minutes),
    load: Number(values.load),
    delivery: values.delivery as DeliveryMode,
    // the shape of MiniLM; the small one is for trying the soak itself
    size: values.small ? { hidden: 16, layers: 1, heads: 2 } : { hidden: 384, layers: 6, heads: 12 },
    mostPerSecond: values.small ? 500 : Infinity,
    say,
  })
  const report = soakReport(run)
  failures = report.failures
  for (const line of soakLines(report)) process.stderr.write(`${line}\n`)
  if (values.svg !== undefined) await writeFile(values.svg, await soakPicture(run.samples))
  if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`)
} finally {
  await world.close()
}
process.exit(failures === 0 ? 0 : 1)
