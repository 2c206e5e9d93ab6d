import type { Fault } from './fault.ts'
import type { JobOptions } from './job.ts'
import type { WorldKind } from './world.ts'

/** What a job of a plan is, besides its size and its delivery mode. */
export type JobPlan = Partial<Omit<JobOptions, 'name' | 'mode' | 'messages' | 'produceMs'>>

/** One scenario of the fault list. */
export interface Plan {
  readonly name: string
  /** Of all messages and of all the time. */
  readonly share: number
  readonly faults: Readonly<Record<string, Fault>>
  /** So many faults at least, however soon the input is written. */
  readonly atLeast?: number
  /** 2. */
  readonly members?: number
  /** The usual one. */
  readonly world?: WorldKind
  readonly job?: JobPlan
}
