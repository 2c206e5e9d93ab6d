import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { usableCores } from '../core/cores.ts'
import { sha256 } from '../core/digest.ts'
import { type MeasuredSession, measureBudgets } from '../runtime/budget-measurement.ts'
import type { SessionInfo } from '../runtime/messages.ts'

export interface BudgetSubject {
  readonly session: MeasuredSession
  readonly info: Pick<SessionInfo, 'provider' | 'precision'>
  /** Threads of the session; 0 is one a core. */
  readonly threads: number
  readonly modelDigest: string
  /** Longest window: no batch may be smaller. */
  readonly maxTokens: number
}

export interface ChosenBudget {
  readonly budgetTokens: number
  /** For the log: what was measured, or why nothing was. */
  readonly why: string
}

/** Where nothing is measured. Right for the processors that it was measured on. */
export const defaultBudgetTokens = 1_024
/** Encoders take texts of 512 tokens as a rule, and a new version must fit into the budget of the one before. */
const smallestBudgetTokens = 512
/** A first start waits so long and no longer; later ones read what it wrote. */
const limitMs = 1_200

/**
 * The token budget of batches on this machine: measured once for a model, a precision and a number of threads, then
 * read from `folder`. Never throws for what is in the folder or that it cannot be written; throws what measuring throws.
 */
export async function chooseBudget(subject: BudgetSubject, folder: string): Promise<ChosenBudget> {
  const leastTokens = Math.max(smallestBudgetTokens, subject.maxTokens)
  const path = join(folder, `batch-budget-${machineDigest(subject)}.json`)
  const known = await readChoice(path, leastTokens)
  if (known !== undefined) return known
  const measured = await measureBudgets(subject.session, {
    defaultTokens: defaultBudgetTokens,
    leastTokens,
    limitMs,
  })
  if (measured === undefined) {
    const budgetTokens = Math.max(defaultBudgetTokens, leastTokens)
    return { budgetTokens, why: 'a batch takes too long here to try others at the start' }
  }
  const rates = [...measured.tokensPerSecond].sort(([a], [b]) => a - b)
  const why = `measured: ${rates.map(([tokens, rate]) => `${tokens} ${Math.round(rate)} tokens/s`).join(', ')}`
  const choice: ChosenBudget = { budgetTokens: measured.budgetTokens, why }
  await writeChoice(folder, path, choice)
  return choice
}

function machineDigest({ info, threads, modelDigest, maxTokens }: BudgetSubject): string {
  const { provider, precision } = info
  const machine = [cpus()[0]?.model ?? '', usableCores()]
  return sha256(JSON.stringify([...machine, provider, precision, threads, modelDigest, maxTokens])).slice(
    0,
    32,
  )
}

/** What an earlier start wrote; undefined where nothing usable is there. */
async function readChoice(path: string, leastTokens: number): Promise<ChosenBudget | undefined> {
  try {
    const { budgetTokens, why } = JSON.parse(await readFile(path, 'utf8')) as Partial<ChosenBudget>
    const usable = Number.isInteger(budgetTokens) && Number(budgetTokens) >= leastTokens
    return usable && typeof why === 'string'
      ? { budgetTokens: Number(budgetTokens), why: `at an earlier start ${why.slice(0, 500)}` }
      : undefined
  } catch {
    return undefined
  }
}

async function writeChoice(folder: string, path: string, choice: ChosenBudget): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
    await writeFile(path, `${JSON.stringify(choice)}\n`)
  } catch {
    // the next start measures again
  }
}
