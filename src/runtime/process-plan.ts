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

/**
 * How the cores are shared out. Threads of one session wait for each other at every operator, processes never do: on a
 * CPU there is one process of one thread a core, as far as memory and one main process reach, and threads for the rest.
 * Who names threads alone limits the processor time: one process. On a graphics processor there is one process too.
 */
export function planProcesses(wishes: PlanWishes, resources: Resources = theseResources): ProcessPlan {
  const { processes, threads, provider, weightsBytes } = wishes
  const { cores, memoryBytes } = resources
  const threadsOf = (count: number): number => threads || Math.max(1, Math.floor(cores / count))
  if (processes > 0) return { processes, threads: threadsOf(processes) }
  if (threads > 0 || providerCandidates(provider, resources)[0] !== 'cpu') {
    return { processes: 1, threads: threadsOf(1) }
  }
  const fitting = Math.floor((memoryBytes * memoryShare) / (processBytes + weightCopies * weightsBytes))
  const planned = Math.max(1, Math.min(cores, fitting, mostProcesses))
  return { processes: planned, threads: threadsOf(planned) }
}
