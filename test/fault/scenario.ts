import { monotonicMs, sleep } from '../../src/core/clock.ts'
import { type CheckResult, checkMoment, checkRun, repeatedOutcomes } from './checker.ts'
import { type FaultName, faults, type Scene } from './faults.ts'
import { Job, type JobOptions } from './job.ts'
import { type FaultWorld, logsWithTexts } from './world.ts'

export interface Scenario {
  readonly name: string
  readonly faults: readonly FaultName[]
  /** One group for each. */
  readonly jobs: readonly Omit<JobOptions, 'name'>[]
  readonly members: number
  /** Longest quiet time between two faults. */
  readonly calmMs: number
  /** Faults in all; without it they go on until the input is written. */
  readonly count?: number
  /** Whether members are killed in the end instead of told to end: broken builds may not know how. */
  readonly killInTheEnd?: boolean
}

export interface JobReport {
  readonly job: string
  readonly inputs: number
  readonly scores: number
  readonly deadLetters: number
  readonly repeated: number
  readonly checks: readonly CheckResult[]
}

export interface ScenarioReport {
  readonly scenario: string
  readonly faults: Readonly<Record<string, number>>
  readonly jobs: readonly JobReport[]
  readonly seconds: number
  readonly broken: number
}

const momentPatienceMs = 30_000

/**
 * Lets groups work while their input is written and faults strike, one after another; then lets each work to the
 * end and checks every invariant.
 */
export async function runScenario(
  world: FaultWorld,
  scenario: Scenario,
  note: (what: string) => void,
): Promise<ScenarioReport> {
  const startedMs = monotonicMs()
  const jobs: Job[] = []
  for (const options of scenario.jobs) {
    jobs.push(await Job.create(world, { ...options, name: `${scenario.name}-${options.mode}` }))
  }
  const moments = new Map<Job, CheckResult[]>(jobs.map((job) => [job, []]))
  const struck: Record<string, number> = {}
  const scene: Scene = {
    world,
    jobs,
    random: world.random(scenario.name),
    note,
    checkNow: async (job) => {
      moments.get(job)?.push(await checkPatiently(job))
    },
  }
  try {
    await Promise.all(
      jobs.flatMap((job) => Array.from({ length: scenario.members }, () => job.startMember().assigned())),
    )
    let producing = true
    const production = Promise.all(jobs.map((job) => job.produce())).finally(() => {
      producing = false
    })
    // awaited below; a fault in between must not make its failure unhandled
    production.catch(() => undefined)
    for (let turn = 0; scenario.count === undefined ? producing : turn < scenario.count; turn++) {
      await sleep(300 + scene.random.integer(scenario.calmMs))
      // the first round takes each in turn, so that a short run has them all
      const name = scenario.faults[turn] ?? scenario.faults[scene.random.integer(scenario.faults.length)]
      if (name === undefined) continue
      struck[name] = (struck[name] ?? 0) + 1
      await faults[name](scene)
    }
    await production
    note('all input is written; every group works to the end')
    if (scenario.killInTheEnd === true) await Promise.all(jobs.map((job) => job.kill()))
    await Promise.all(jobs.map((job) => job.finish()))
    const reports: JobReport[] = []
    for (const job of jobs) reports.push(await reportOf(job, moments.get(job) ?? []))
    return {
      scenario: scenario.name,
      faults: struck,
      jobs: reports,
      seconds: (monotonicMs() - startedMs) / 1000,
      broken: reports.flatMap(({ checks }) => checks).filter(({ broken }) => broken > 0).length,
    }
  } finally {
    await Promise.all(jobs.map((job) => job.kill()))
  }
}

async function reportOf(job: Job, moments: readonly CheckResult[]): Promise<JobReport> {
  const evidence = await job.evidence()
  const ownLogs = await logsWithTexts(job.world.folder)
  return {
    job: job.group,
    inputs: evidence.inputs.length,
    scores: evidence.scores.length,
    deadLetters: evidence.deadLetters.length,
    repeated: repeatedOutcomes(evidence),
    checks: [
      ...checkRun(evidence),
      ...summed(moments, 'committed offsets are not ahead of the output right after a kill'),
      job.endedByThemselves(),
      { name: 'no log holds a text', looked: job.members.length, broken: ownLogs.length, examples: ownLogs },
    ],
  }
}

function summed(results: readonly CheckResult[], name: string): CheckResult[] {
  if (results.length === 0) return []
  return [
    {
      name,
      looked: results.reduce((sum, { looked }) => sum + looked, 0),
      broken: results.reduce((sum, { broken }) => sum + broken, 0),
      examples: results.flatMap(({ examples }) => examples).slice(0, 5),
    },
  ]
}

/**
 * With transactions, an open one of the killed process hides what others committed behind it until it is decided:
 * then it is looked at again.
 */
async function checkPatiently(job: Job): Promise<CheckResult> {
  const startedMs = monotonicMs()
  for (;;) {
    const result = checkMoment(await job.evidence())
    const mayPass = job.options.mode === 'exactly-once' && monotonicMs() - startedMs < momentPatienceMs
    if (result.broken === 0 || !mayPass) return result
    await sleep(500)
  }
}
