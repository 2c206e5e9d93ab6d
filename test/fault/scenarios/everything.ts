import type { Plan } from '../plan.ts'
import { freezeBroker, killBroker } from './brokers.ts'
import { killInference } from './inference.ts'
import { freezeMember, killAll, killMember } from './processes.ts'
import { changeScale } from './scale.ts'

/** Faults of all kinds in turn. */
export const everything: Plan = {
  name: 'everything',
  share: 0.12,
  faults: { killBroker, killMember, changeScale, killInference, freezeMember, killAll, freezeBroker },
  job: { lateRequests: true },
}
