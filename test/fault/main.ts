/**
 * Groups in both delivery modes on real brokers, under faults; every invariant of the promises is checked.
 * With --canaries the program is broken on purpose, one way after another, and each has to be found.
 */
import { monotonicMs } from '../../src/core/clock.ts'
import { runCanaries } from './canaries.ts'
import { programArguments } from '../support/program-arguments.ts'
import { printReport } from './print.ts'
import { runScenario, type ScenarioReport } from './scenario.ts'
import { type PlannedScenario, scenarios } from './scenarios.ts'
import { cannotMount, withOwnMounts } from './small-disks.ts'
import { type FaultWorld, startFaultWorld, type WorldKind } from './world.ts'

const usage = 'npm run test:faults [-- --seed N --messages N --seconds N --only NAME,NAME --canaries --json]'
const { values } = programArguments(usage, {
  options: {
    seed: { type: 'string' },
    messages: { type: 'string', default: '100000' },
    seconds: { type: 'string', default: '1800' },
    only: { type: 'string' },
    canaries: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
withOwnMounts()

/** Beside the time of writing its input, a scenario ends faults, works to the end and is checked. */
const scenarioMs = 45_000
const worldMs = 25_000

const seed = Number(values.seed ?? Date.now() % 1_000_000)
const wanted = values.only?.split(',')
const startedMs = monotonicMs()
const say = (text: string): void => {
  process.stderr.write(`${text}\n`)
}
const note = (what: string): void => {
  say(`  ${new Date().toISOString().slice(11, 23)} ${what}`)
}
const minutes = (ms: number): string => (ms / 60_000).toFixed(1)

const reports: ScenarioReport[] = []
const notRun: { scenario: string; reason: string }[] = []
let failures = 0
let open: { kind: WorldKind; world: FaultWorld } | undefined
try {
  if (values.canaries) await canaries()
  else await list()
} finally {
  await open?.world.close()
}
for (const report of reports) printReport(report, say)
for (const { scenario, reason } of notRun) say(`\nNOT RUN ${scenario}: ${reason}`)
const total = reports.flatMap(({ jobs }) => jobs)
const inputs = (mode: string): number =>
  total.filter(({ job }) => job.endsWith(mode)).reduce((sum, job) => sum + job.inputs, 0)
say(
  `\nseed ${seed}: ${inputs('at-least-once')} inputs at least once, ${inputs('exactly-once')} exactly once, ${failures} checks broken, ${notRun.length} scenarios not run, ${minutes(monotonicMs() - startedMs)} min`,
)
if (values.json) process.stdout.write(`${JSON.stringify({ seed, reports, notRun, failures })}\n`)
process.exit(failures === 0 ? 0 : 1)

async function list(): Promise<void> {
  const planned = scenarios({
    messages: Number(values.messages),
    seconds: Number(values.seconds),
    only: wanted,
  })
  const names = planned.map(({ scenario }) => scenario.name).join(', ')
  const worlds = new Set(planned.map(({ world }) => world)).size
  const estimateMs = planned.reduce((sum, { produceMs }) => sum + produceMs + scenarioMs, worlds * worldMs)
  say(`seed ${seed}, ${values.messages} messages a mode, about ${minutes(estimateMs)} min: ${names}`)
  for (const [index, one] of planned.entries()) {
    const place = `${index + 1} of ${planned.length}`
    say(
      `${one.scenario.name}: ${place}, ${minutes(monotonicMs() - startedMs)} of about ${minutes(estimateMs)} min`,
    )
    const reason = one.world === 'small disks' ? cannotMount() : undefined
    if (reason === undefined) await attempt(one)
    else {
      say(`  not run: ${reason}`)
      notRun.push({ scenario: one.scenario.name, reason })
    }
  }
}

/** The world of this kind; the one before, if it was another, is closed. */
async function worldOf(kind: WorldKind): Promise<FaultWorld> {
  if (open?.kind === kind) return open.world
  await open?.world.close()
  open = undefined
  const world = await startFaultWorld(seed, { kind })
  open = { kind, world }
  say(`  ${kind}: logs in ${world.folder}`)
  return world
}

async function attempt({ world: kind, scenario }: PlannedScenario): Promise<void> {
  try {
    const report = await runScenario(await worldOf(kind), scenario, note)
    failures += report.broken
    reports.push(report)
  } catch (error) {
    failures += 1
    say(`  ${scenario.name} could not be finished: ${error instanceof Error ? error.message : String(error)}`)
    reports.push({ scenario: scenario.name, faults: {}, jobs: [], seconds: 0, broken: 1 })
    // what it left of the brokers is not the next one's
    await open?.world.close()
    open = undefined
  }
}

async function canaries(): Promise<void> {
  say(`seed ${seed}, broken builds`)
  const found = await runCanaries(await worldOf('plain'), note, wanted)
  for (const { canary, caught, findings } of found) {
    say(`${caught ? 'caught    ' : 'NOT CAUGHT'} ${canary}: ${findings.join('; ')}`)
  }
  failures = found.filter(({ caught }) => !caught).length
}
