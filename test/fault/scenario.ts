import { monotonicMs, sleep } from '../../src/core/clock.ts'
import { type CheckResult, checkMoment, checkRun, repeatedOutcomes } from './checker.ts'
import type { Fault, Scene } from './fault.ts'
import { Job, type JobOptions } from './job.ts'
import { type FaultWorld, logsWithTexts } from './world.ts'

export interface Scenario {
  readonly name: string
  readonly faults: Readonly<Record<string, Fault>>
  /** One group for each. */
  readonly jobs: readonly Omit<JobOptions, 'name'>[]
  readonly members: number
  /** Longest quiet time between two faults. */
  readonly calmMs: number
  /** Faults in all; without it they go on until the input is written, and until there were `atLeast`. */
  readonly count?: number
  readonly atLeast?: number
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
  /** How often each has struck. */
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
  const looks = new Map<Job, CheckResult[]>(jobs.map((job) => [job, []]))
  const struck: Record<string, number> = {}
  const scene: Scene = {
    world,
    jobs,
    random: world.random(scenario.name),
    note,
    checkNow: async (job) => {
      looks.get(job)?.push(await checkPatiently(job))
    },
    look: (job, name, holds, otherwise = '') => {
      looks.get(job)?.push({ name, looked: 1, broken: holds ? 0 : 1, examples: holds ? [] : [otherwise] })
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
    const { count, atLeast = 0 } = scenario
    const goesOn = (turn: number): boolean =>
      count === undefined ? producing || turn < atLeast : turn < count
    const names = Object.keys(scenario.faults)
    for (let turn = 0; goesOn(turn); turn++) {
      await sleep(300 + scene.random.integer(scenario.calmMs))
      // the first round takes each in turn, so that a short run has them all
      const name = names[turn] ?? names[scene.random.integer(names.length)] ?? ''
      const fault = scenario.faults[name]
      if (fault !== undefined && (await fault(scene))) struck[name] = (struck[name] ?? 0) + 1
    }
    await production
    note('all input is written; every group works to the end')
    if (scenario.killInTheEnd === true) await Promise.all(jobs.map((job) => job.kill()))
    await Promise.all(jobs.map((job) => job.finish()))
    const reports: JobReport[] = []
    for (const job of jobs) reports.push(await reportOf(job, looks.get(job) ?? []))
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

async function reportOf(job: Job, looks: readonly CheckResult[]): Promise<JobReport> {
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
      ...summed(looks),
      job.endedByThemselves(),
      { name: 'no log holds a text', looked: job.members.length, broken: ownLogs.length, examples: ownLogs },
    ],
  }
}

/** Looks of the same name as one check. */
function summed(looks: readonly CheckResult[]): CheckResult[] {
  return [...new Set(looks.map(({ name }) => name))].map((name) => {
    const alike = looks.filter((look) => look.name === name)
    return {
      name,
      looked: alike.reduce((sum, { looked }) => sum + looked, 0),
      broken: alike.reduce((sum, { broken }) => sum + broken, 0),
      examples: alike.flatMap(({ examples }) => examples).slice(0, 5),
    }
  })
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
    if (result.broken === 0 || !mayPass) return { ...result, name: `${result.name} right after a kill` }
    await sleep(500)
  }
}
