import { totalmem } from 'node:os'
import { usableCores } from '../core/cores.ts'
import type { Provider } from './messages.ts'
import { type Machine, providerCandidates, thisMachine } from './provider.ts'

export interface ProcessPlan {
  /** Inference processes side by side, each with a session of its own. */
  readonly processes: number
  /** Threads of each session. */
  readonly threads: number
}

export interface PlanWishes {
  /** 0 leaves it to the plan. */
  readonly processes: number
  /** 0 leaves it to the plan. */
  readonly threads: number
  readonly provider: Provider
  /** Of the model as it is stored. */
  readonly weightsBytes: number
}

export interface Resources extends Machine {
  readonly cores: number
  readonly memoryBytes: number
}

export const theseResources: Resources = {
  ...thisMachine,
  cores: usableCores(),
  memoryBytes: Math.min(totalmem(), process.constrainedMemory() || Infinity),
}

/** What a process takes beside its model, and how many times the stored weights: seen with MiniLM, and rounded up. */
const processBytes = 100 * 1_048_576
const weightCopies = 3
/** Of the memory, for all inference processes together. */
const memoryShare = 1 / 4
/** More of them are more to feed than one main process does. */
const mostProcesses = 16
/** Sessions that take turns on one card; each holds the model. */
const mostOnGraphics = 4

/**
 * How the cores are shared out. Threads of one session wait for each other at every operator, processes never do: on a
 * CPU there is one process of one thread a core, as far as memory and one main process reach, and threads for the rest.
 * Who names threads alone limits the processor time: one process. On a graphics processor there is one process too.
 */
export function planProcesses(wishes: PlanWishes, resources: Resources = theseResources): ProcessPlan {
  const { processes, threads } = wishes
  if (processes > 0) return planOf(processes, wishes, resources)
  if (threads > 0 || onGraphics(wishes, resources)) return planOf(1, wishes, resources)
  return planOf(Math.min(resources.cores, mostFitting(wishes, resources)), wishes, resources)
}

/**
 * What is worth measuring: the plan by the rule first, then the others from one process with all cores to twice as
 * many each time, as far as memory reaches; on a graphics processor one, two and four. One plan where the wishes name one.
 */
export function candidatePlans(
  wishes: PlanWishes,
  resources: Resources = theseResources,
): readonly [ProcessPlan, ...ProcessPlan[]] {
  const rule = planProcesses(wishes, resources)
  if (wishes.processes > 0 || wishes.threads > 0) return [rule]
  const most = onGraphics(wishes, resources)
    ? mostOnGraphics
    : Math.min(resources.cores, mostFitting(wishes, resources))
  const others = [1, 2, 4, 8, 16].filter((count) => count <= most && count !== rule.processes)
  return [rule, ...others.map((count) => planOf(count, wishes, resources))]
}

const planOf = (processes: number, { threads }: PlanWishes, { cores }: Resources): ProcessPlan => ({
  processes,
  threads: threads || Math.max(1, Math.floor(cores / processes)),
})

const onGraphics = ({ provider }: PlanWishes, resources: Resources): boolean =>
  providerCandidates(provider, resources)[0] !== 'cpu'

function mostFitting({ weightsBytes }: PlanWishes, { memoryBytes }: Resources): number {
  const fitting = Math.floor((memoryBytes * memoryShare) / (processBytes + weightCopies * weightsBytes))
  return Math.max(1, Math.min(fitting, mostProcesses))
}
