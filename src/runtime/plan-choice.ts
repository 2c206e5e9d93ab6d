import type { ProcessPlan } from './process-plan.ts'
import { type Choice, rememberedChoice } from './remembered-choice.ts'
import { type MeasuredSession, trialBatch, trialRounds, worthwhile } from './trial-batch.ts'

/** The processes of a plan, started to be measured. */
export interface MeasuredPool extends MeasuredSession {
  warm(): Promise<void>
  close(): Promise<void>
}

export interface PlanSubject {
  /** The first is taken unless another one is clearly faster. */
  readonly plans: readonly [ProcessPlan, ...ProcessPlan[]]
  readonly start: (plan: ProcessPlan) => Promise<MeasuredPool>
  /** All that the rates depend on beside the machine and the plans. */
  readonly of: readonly (string | number)[]
  /** Most padded tokens in a batch. */
  readonly budgetTokens: number
}

export interface ChosenPlan extends ProcessPlan, Choice {}

const roundSeconds = 0.4
const mostBatches = 256
/**
 * How many processes and threads compute most padded tokens per second on this machine: each plan is started and
 * measured, one after the other, the best of three rounds counts; later starts read it from `folder`. Throws what a
 * start and a measurement throw.
 */
export async function choosePlan(subject: PlanSubject, folder: string): Promise<ChosenPlan> {
  const { plans, of } = subject
  const [first] = plans
  if (plans.length === 1) return { ...first, why: 'there is one way on this machine' }
  const chosen = await rememberedChoice<ChosenPlan>(folder, {
    kind: 'process-plan',
    of: [...of, ...plans.map(shortOf)],
    usable: (stored) => plans.some((plan) => sameAs(plan, stored)),
    measure: () => measurePlans(subject),
  })
  return chosen ?? { ...first, why: 'nothing was measured' }
}

async function measurePlans({ plans, start, budgetTokens }: PlanSubject): Promise<ChosenPlan> {
  const rates: { plan: ProcessPlan; tokensPerSecond: number }[] = []
  for (const plan of plans) {
    const pool = await start(plan)
    try {
      await pool.warm()
      rates.push({ plan, tokensPerSecond: await rateOf(pool, plan.processes, budgetTokens) })
    } finally {
      await pool.close()
    }
  }
  const usual = (rates[0]?.tokensPerSecond ?? 0) * worthwhile
  const [best] = rates
    .filter(({ tokensPerSecond }, index) => index === 0 || tokensPerSecond >= usual)
    .sort((a, b) => b.tokensPerSecond - a.tokensPerSecond)
  const measured = rates.map(
    ({ plan, tokensPerSecond }) => `${shortOf(plan)} ${Math.round(tokensPerSecond)} tokens/s`,
  )
  return { ...(best?.plan ?? plans[0]), why: `measured: ${measured.join(', ')}` }
}

async function rateOf(pool: MeasuredPool, processes: number, budgetTokens: number): Promise<number> {
  const batch = trialBatch(budgetTokens)
  const batches = (count: number): Int32Array[][] => new Array<Int32Array[]>(count).fill(batch)
  const { seconds } = await pool.measure(batches(processes))
  const turns = Math.max(1, Math.min(mostBatches / processes, roundSeconds / seconds))
  let best = 0
  for (let round = 0; round < trialRounds; round++) {
    const rate = await pool.measure(batches(Math.ceil(turns) * processes))
    best = Math.max(best, rate.paddedTokens / rate.seconds)
  }
  return best
}

const shortOf = ({ processes, threads }: ProcessPlan): string => `${processes}x${threads}`

const sameAs = (plan: ProcessPlan, stored: Partial<Record<keyof ProcessPlan, unknown>>): boolean =>
  stored.processes === plan.processes && stored.threads === plan.threads
