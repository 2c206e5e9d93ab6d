import { measureBudgets } from '../runtime/budget-measurement.ts'
import type { SessionInfo } from '../runtime/messages.ts'
import { type Choice, rememberedChoice } from '../runtime/remembered-choice.ts'
import type { MeasuredSession } from '../runtime/trial-batch.ts'

export interface BudgetSubject {
  readonly session: MeasuredSession
  readonly info: Pick<SessionInfo, 'provider' | 'precision'>
  readonly processes: number
  /** Threads of each session. */
  readonly threads: number
  readonly modelDigest: string
  /** Longest window: no batch may be smaller. */
  readonly maxTokens: number
}

export interface ChosenBudget extends Choice {
  readonly budgetTokens: number
}

/** Where nothing is measured. Right for the processors that it was measured on. */
export const defaultBudgetTokens = 1_024
/** Encoders take texts of 512 tokens as a rule, and a new version must fit into the budget of the one before. */
const smallestBudgetTokens = 512
/** A first start waits so long and no longer; later ones read what it wrote. */
const limitMs = 1_200

/**
 * The token budget of batches on this machine: measured once for a model, a precision and a layout of processes and
 * threads, then read from `folder`. Throws what measuring throws.
 */
export async function chooseBudget(subject: BudgetSubject, folder: string): Promise<ChosenBudget> {
  const { session, info, processes, threads, modelDigest, maxTokens } = subject
  const leastTokens = Math.max(smallestBudgetTokens, maxTokens)
  const chosen = await rememberedChoice<ChosenBudget>(folder, {
    kind: 'batch-budget',
    of: [info.provider, info.precision, processes, threads, modelDigest, maxTokens],
    usable: ({ budgetTokens }) => Number.isInteger(budgetTokens) && Number(budgetTokens) >= leastTokens,
    measure: async () => {
      const measured = await measureBudgets(session, {
        defaultTokens: defaultBudgetTokens,
        leastTokens,
        limitMs,
      })
      if (measured === undefined) return undefined
      const rates = [...measured.tokensPerSecond].sort(([a], [b]) => a - b)
      const why = `measured: ${rates.map(([tokens, rate]) => `${tokens} ${Math.round(rate)} tokens/s`).join(', ')}`
      return { budgetTokens: measured.budgetTokens, why }
    },
  })
  return (
    chosen ?? {
      budgetTokens: Math.max(defaultBudgetTokens, leastTokens),
      why: 'a batch takes too long here to try others at the start',
    }
  )
}
