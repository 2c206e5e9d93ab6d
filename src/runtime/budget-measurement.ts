import { monotonicMs } from '../core/clock.ts'
import { type MeasuredSession, trialBatch, trialRounds, worthwhile } from './trial-batch.ts'

export interface BudgetMeasurement {
  readonly budgetTokens: number
  /** Best of its rounds, by token budget: other work on the machine only ever takes away. */
  readonly tokensPerSecond: ReadonlyMap<number, number>
}

/** Larger budgets are tried as long as they gain. */
const largestTokens = 65_536

/**
 * The token budget of a batch that the session computes fastest, tried in interleaved rounds: the default, half and
 * twice of it, and further up while the largest is the best (graphics processors, many cores). No new round is begun
 * after `limitMs`. Undefined where a single batch takes too long to compare anything. None is below `leastTokens`.
 */
export async function measureBudgets(
  session: MeasuredSession,
  { defaultTokens, leastTokens, limitMs }: { defaultTokens: number; leastTokens: number; limitMs: number },
): Promise<BudgetMeasurement | undefined> {
  const untilMs = monotonicMs() + limitMs
  const first = Math.max(defaultTokens, leastTokens)
  const candidates = [first, first * 2, first / 2].filter((tokens) => tokens >= leastTokens)
  const best = new Map<number, number>()
  const tryOne = async (tokens: number): Promise<void> => {
    const { seconds, paddedTokens } = await session.measure([trialBatch(tokens)])
    best.set(tokens, Math.max(best.get(tokens) ?? 0, paddedTokens / seconds))
  }
  const secondsOf = (tokens: number): number => tokens / (best.get(first) ?? Infinity)
  await tryOne(first)
  // one round of all, or nothing was compared
  if (monotonicMs() + secondsOf(3.5 * first) * 1_000 > untilMs) return undefined
  for (let round = 0; round < trialRounds && (round === 0 || monotonicMs() < untilMs); round++) {
    for (const tokens of candidates) await tryOne(tokens)
    const top = Math.max(...candidates)
    const next = top * 2
    const fits = monotonicMs() + secondsOf(next) * 1_000 < untilMs && next <= largestTokens
    if (fastest(best, first) === top && fits) candidates.push(next)
  }
  return { budgetTokens: fastest(best, first), tokensPerSecond: best }
}

function fastest(rates: ReadonlyMap<number, number>, fallback: number): number {
  const [[tokens, rate] = [fallback, 0]] = [...rates].sort(([, a], [, b]) => b - a)
  return rate >= worthwhile * (rates.get(fallback) ?? 0) ? tokens : fallback
}
