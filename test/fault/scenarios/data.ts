import type { Plan } from '../plan.ts'
import { someHugeMessage } from '../texts.ts'
import { killMember } from './processes.ts'

/** Nothing but messages that can never be scored. */
export const poison: Plan = {
  name: 'poison',
  share: 0.03,
  faults: { killMember },
  job: { poisonShare: 1 },
}

/** What `labelstream topics create` gives to dead letters. */
const hugeTopic = { 'max.message.bytes': '16777216' }

/** Now and then a message of ten megabytes: far beyond the limits, and far beyond one fetch. */
export const huge: Plan = {
  name: 'huge',
  share: 0.03,
  faults: { killMember },
  job: {
    rare: { messages: 4, make: someHugeMessage },
    topicConfig: { input: hugeTopic, deadLetters: hugeTopic },
  },
}
