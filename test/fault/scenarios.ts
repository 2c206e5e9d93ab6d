import type { Plan } from './plan.ts'
import type { Scenario } from './scenario.ts'
import { brokers, rolling } from './scenarios/brokers.ts'
import { huge, poison } from './scenarios/data.ts'
import { deadLettersMissing } from './scenarios/dead-letters-missing.ts'
import { deadLettersRefused } from './scenarios/dead-letters-refused.ts'
import { disk } from './scenarios/disk.ts'
import { everything } from './scenarios/everything.ts'
import { inference } from './scenarios/inference.ts'
import { memory } from './scenarios/memory.ts'
import { network } from './scenarios/network.ts'
import { processes } from './scenarios/processes.ts'
import { protocol } from './scenarios/protocol.ts'
import { registry } from './scenarios/registry.ts'
import { reload } from './scenarios/reload.ts'
import { scale } from './scenarios/scale.ts'
import { stepByStep } from './scenarios/steps.ts'
import type { WorldKind } from './world.ts'

/** Those of one world stand together, so that each world is started once. */
const plans: readonly Plan[] = [
  processes,
  stepByStep,
  protocol,
  network,
  inference,
  memory,
  reload,
  brokers,
  rolling,
  scale,
  poison,
  huge,
  registry,
  deadLettersMissing,
  everything,
  deadLettersRefused,
  disk,
]

export interface PlannedScenario {
  readonly world: WorldKind
  readonly scenario: Scenario
  /** Of writing its input; what it takes in all is more. */
  readonly produceMs: number
}

/** The fault list, each scenario with a group in each delivery mode. */
export function scenarios(options: {
  readonly messages: number
  readonly seconds: number
  readonly only?: readonly string[] | undefined
}): PlannedScenario[] {
  const unknown = options.only?.filter((name) => !plans.some((plan) => plan.name === name)) ?? []
  if (unknown.length > 0) {
    throw new Error(
      `no scenario ${unknown.join(', ')}: there are ${plans.map(({ name }) => name).join(', ')}`,
    )
  }
  const chosen = plans.filter(({ name }) => options.only?.includes(name) ?? true)
  const shares = chosen.reduce((sum, { share }) => sum + share, 0)
  return chosen.map(({ name, faults, share, atLeast = 0, members = 2, world = 'plain', job: plan }) => {
    const job = {
      ...plan,
      messages: Math.ceil((options.messages * share) / shares),
      produceMs: (options.seconds * 1000 * share) / shares,
    }
    const jobs = [
      { ...job, mode: 'at-least-once' },
      { ...job, mode: 'exactly-once' },
    ] as const
    return {
      world,
      produceMs: job.produceMs,
      scenario: { name, faults, members, atLeast, calmMs: 3_000, jobs },
    }
  })
}
