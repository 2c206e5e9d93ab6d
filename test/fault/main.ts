/**
 * npm run test:faults [-- --seed N --messages N --seconds N --only NAME,NAME --canaries]
 * Groups in both delivery modes on three real brokers, under faults; every invariant of the promises is checked.
 * With --canaries the program is broken on purpose, one way after another, and each has to be found.
 */
import { parseArgs } from 'node:util'
import { runCanaries } from './canaries.ts'
import { boundOf } from './checker.ts'
import { runScenario, type Scenario, type ScenarioReport } from './scenario.ts'
import { scenarios } from './scenarios.ts'
import { startFaultWorld } from './world.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    messages: { type: 'string', default: '100000' },
    seconds: { type: 'string', default: '1800' },
    only: { type: 'string' },
    canaries: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed ?? Date.now() % 1_000_000)
const say = (text: string): void => {
  process.stderr.write(`${text}\n`)
}
const note = (what: string): void => {
  say(`  ${new Date().toISOString().slice(11, 23)} ${what}`)
}

const wanted = values.only?.split(',')
const list = scenarios({ messages: Number(values.messages), seconds: Number(values.seconds), only: wanted })
say(
  values.canaries
    ? `seed ${seed}, broken builds`
    : `seed ${seed}, ${values.messages} messages a mode, scenarios: ${list.map(({ name }) => name).join(', ')}`,
)
const world = await startFaultWorld(seed)
const reports: ScenarioReport[] = []
let failures = 0
try {
  if (!values.canaries) for (const scenario of list) reports.push(await attempt(scenario))
  else failures += await canaries()
} finally {
  await world.close()
}
for (const report of reports) print(report)
const total = reports.flatMap(({ jobs }) => jobs)
const inputs = (mode: string): number =>
  total.filter(({ job }) => job.endsWith(mode)).reduce((sum, job) => sum + job.inputs, 0)
say(
  `seed ${seed}: ${inputs('at-least-once')} inputs at least once, ${inputs('exactly-once')} exactly once, ${failures} checks broken; logs in ${world.folder}`,
)
if (values.json) process.stdout.write(`${JSON.stringify({ seed, reports, failures })}\n`)
process.exit(failures === 0 ? 0 : 1)

/** How many broken builds were not caught. */
async function canaries(): Promise<number> {
  const found = await runCanaries(world, note, wanted)
  for (const { canary, caught, findings } of found) {
    say(`${caught ? 'caught    ' : 'NOT CAUGHT'} ${canary}: ${findings.join('; ')}`)
  }
  return found.filter(({ caught }) => !caught).length
}

async function attempt(scenario: Scenario): Promise<ScenarioReport> {
  say(`${scenario.name}`)
  try {
    const report = await runScenario(world, scenario, note)
    failures += report.broken
    return report
  } catch (error) {
    failures += 1
    say(`  ${scenario.name} could not be finished: ${error instanceof Error ? error.message : String(error)}`)
    return { scenario: scenario.name, faults: {}, jobs: [], seconds: 0, broken: 1 }
  }
}

function print({ scenario, faults, jobs, seconds }: ScenarioReport): void {
  const struck = Object.entries(faults).map(([name, times]) => `${name} ${times}`)
  say(`\n${scenario}: ${seconds.toFixed(0)} s; ${struck.join(', ')}`)
  for (const { job, inputs: read, scores, deadLetters, repeated, checks } of jobs) {
    say(`  ${job}: ${read} inputs, ${scores} scores, ${deadLetters} dead letters, ${repeated} repeated`)
    for (const check of checks) {
      say(`    ${check.broken === 0 ? 'ok    ' : 'BROKEN'} ${check.name}: ${boundOf(check)}`)
      for (const example of check.examples) say(`           ${example}`)
    }
  }
}
