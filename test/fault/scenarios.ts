import type { FaultName } from './faults.ts'
import type { Scenario } from './scenario.ts'

interface Plan {
  readonly name: string
  readonly faults: readonly FaultName[]
  /** Of all messages and of all the time. */
  readonly share: number
  readonly poisonShare?: number
  readonly members?: number
  readonly proxied?: boolean
}

const plans: readonly Plan[] = [
  { name: 'processes', faults: ['killMember', 'killAll', 'freezeMember'], share: 0.2 },
  { name: 'protocol', faults: ['disturbProtocol'], share: 0.15, proxied: true },
  { name: 'inference', faults: ['killInference', 'freezeInference'], share: 0.1 },
  {
    name: 'brokers',
    faults: ['killBroker', 'freezeBroker', 'killTwoBrokers', 'restartBrokers'],
    share: 0.2,
  },
  { name: 'scale', faults: ['changeScale'], share: 0.1 },
  { name: 'poison', faults: ['killMember'], share: 0.05, poisonShare: 1 },
  {
    name: 'everything',
    faults: [
      'killBroker',
      'killMember',
      'changeScale',
      'killInference',
      'freezeMember',
      'killAll',
      'freezeBroker',
    ],
    share: 0.2,
  },
]

/** The fault list, each scenario with a group in each delivery mode. */
export function scenarios(options: {
  readonly messages: number
  readonly seconds: number
  readonly only?: readonly string[] | undefined
}): Scenario[] {
  const chosen = plans.filter(({ name }) => options.only?.includes(name) ?? true)
  const shares = chosen.reduce((sum, { share }) => sum + share, 0)
  return chosen.map(({ name, faults, share, poisonShare = 0.01, members = 2, proxied = false }) => {
    const job = {
      messages: Math.ceil((options.messages * share) / shares),
      produceMs: (options.seconds * 1000 * share) / shares,
      poisonShare,
      proxied,
      partitions: 6,
      settings: { 'exactlyOnce.lanes': 4 },
    }
    return {
      name,
      faults,
      members,
      calmMs: 3_000,
      jobs: [
        { ...job, mode: 'at-least-once' },
        { ...job, mode: 'exactly-once' },
      ],
    }
  })
}
