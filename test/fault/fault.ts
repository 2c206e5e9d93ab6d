import type { Random } from '../../src/core/random.ts'
import type { Job } from './job.ts'
import type { Member } from './member.ts'
import type { FaultWorld } from './world.ts'

/** What a fault can lay hands on. */
export interface Scene {
  readonly world: FaultWorld
  readonly jobs: readonly Job[]
  readonly random: Random
  /** For the protocol of the run. */
  readonly note: (what: string) => void
  /** Called after a process has been killed: what must hold at any moment is looked at. */
  readonly checkNow: (job: Job) => Promise<void>
  /** One look at something that must hold under this fault, besides what must always hold. */
  readonly look: (job: Job, what: string, holds: boolean, otherwise?: string) => void
}

/**
 * Does harm and makes it good again: when it resolves, everything that should run runs. False: nothing was there to
 * be harmed.
 */
export type Fault = (scene: Scene) => Promise<boolean>

export const pick = <Item>(random: Random, items: readonly Item[]): Item | undefined =>
  items[random.integer(items.length)]

/** A running member of a job by chance. */
export function someMember({ jobs, random }: Scene): { job: Job; member: Member } | undefined {
  const job = pick(random, jobs)
  const member = pick(random, job?.running ?? [])
  return job === undefined || member === undefined ? undefined : { job, member }
}
