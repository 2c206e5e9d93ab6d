import { LabelstreamError } from '../core/errors.ts'
import type { Bucket } from './waiting.ts'

export interface BatchLimits {
  /** Most padded tokens (rows x longest row) of one batch. At least the model's longest window. */
  readonly budgetTokens: number
  /** Most rows of one batch. */
  readonly maxRows: number
  /** Longest time a window waits for its batch to fill. */
  readonly maxWaitMs: number
}

export interface BatchSituation {
  /** More windows are on their way (something is being read or tokenised, or the consumer lags). */
  readonly moreExpected: boolean
  /** An inference process has no batch. */
  readonly workerIdle: boolean
  /** The stream is ending: send everything. */
  readonly draining: boolean
}

export type DispatchReason = 'full' | 'deadline' | 'idle' | 'drain'

/** The batch to send: `rows` windows of length `longestTokens` and below, nearest lengths first. */
export interface Dispatch {
  readonly dispatch: { readonly longestTokens: number; readonly rows: number }
  readonly reason: DispatchReason
}

/** Nothing to send before this many milliseconds; Infinity when nothing waits. */
export interface Wait {
  readonly waitMs: number
}

/**
 * What one call costs beside its padded tokens, as a share of the budget: keeps rare lengths from going alone. A
 * share, because budgets are raised where calls are dear.
 */
const callCostShare = 1 / 16

/** A full batch goes before its deadline only when its rows are this similar (real tokens / padded tokens). */
const similarShare = 0.95

/** With so many budgets of tokens waiting, a batch is well filled without waiting for more: the next one can queue. */
const plentyBudgets = 4

interface Candidate {
  longestTokens: number
  rows: number
  efficiency: number
  realShare: number
  full: boolean
}

/** Throws SETTING_INVALID when a single window could exceed the token budget. */
export function assertBatchLimits(limits: BatchLimits, maxTokens: number): void {
  if (limits.budgetTokens < maxTokens) {
    throw new LabelstreamError(
      'SETTING_INVALID',
      `batch.budgetTokens is ${limits.budgetTokens}, but one window can have ${maxTokens} tokens: set it to ${maxTokens} or more`,
    )
  }
}

/**
 * The batch to send now, or how long to sleep. `buckets` are the waiting windows by exact length, shortest first.
 *
 * Never exceeds the token budget (a window longer than the whole budget goes alone); never holds a window past
 * its deadline. When the oldest window is due, or the worker would idle, the batch is built around that window, so
 * nothing starves; of all batches that hold it, the one with the most real tokens per cost is taken, where
 * cost = rows x longest row + a fixed cost per call. Before the deadline full batches of similar lengths go, and any
 * when a whole budget of tokens waits before an idle worker.
 */
export function nextDispatch(
  buckets: readonly Bucket[],
  now: number,
  limits: BatchLimits,
  situation: BatchSituation,
): Dispatch | Wait {
  const oldest = oldestBucket(buckets)
  if (oldest < 0) return { waitMs: Infinity }
  const ageMs = now - (buckets[oldest]?.oldestMs ?? now)
  const idle = situation.workerIdle && !situation.moreExpected
  const due = ageMs >= limits.maxWaitMs
  if (due || idle || situation.draining) {
    const best = bestAround(buckets, oldest, limits)
    const reason = best.full ? 'full' : situation.draining ? 'drain' : due ? 'deadline' : 'idle'
    return { dispatch: { longestTokens: best.longestTokens, rows: best.rows }, reason }
  }
  // An idle worker with a budget's worth of tokens before it loses more by waiting than by padding.
  const enough = limits.budgetTokens * (situation.workerIdle ? 1 : plentyBudgets)
  const full =
    bestFull(buckets, limits) ?? (holds(buckets, enough) ? bestAround(buckets, oldest, limits) : undefined)
  if (full !== undefined) {
    return { dispatch: { longestTokens: full.longestTokens, rows: full.rows }, reason: 'full' }
  }
  return { waitMs: limits.maxWaitMs - ageMs }
}

function holds(buckets: readonly Bucket[], tokens: number): boolean {
  let held = 0
  for (const bucket of buckets) held += bucket.tokens * bucket.rows
  return held >= tokens
}

function oldestBucket(buckets: readonly Bucket[]): number {
  let oldest = -1
  let oldestMs = Infinity
  for (let index = 0; index < buckets.length; index++) {
    const bucket = buckets[index]
    if (bucket !== undefined && bucket.oldestMs < oldestMs) {
      oldest = index
      oldestMs = bucket.oldestMs
    }
  }
  return oldest
}

/** The most efficient batch that holds the oldest window: tried with every length from its own upward as longest. */
function bestAround(buckets: readonly Bucket[], oldest: number, limits: BatchLimits): Candidate {
  let best = grow(buckets, oldest, oldest, limits)
  for (let top = oldest + 1; top < buckets.length; top++) {
    const candidate = grow(buckets, top, oldest, limits)
    if (candidate.rows > 0 && candidate.efficiency > best.efficiency) best = candidate
  }
  return best
}

/** The most efficient batch that uses up its row or token limit and hardly pads. */
function bestFull(buckets: readonly Bucket[], limits: BatchLimits): Candidate | undefined {
  let best: Candidate | undefined
  for (let top = 0; top < buckets.length; top++) {
    const candidate = grow(buckets, top, top, limits)
    if (!candidate.full || candidate.realShare < similarShare) continue
    if (best === undefined || candidate.efficiency > best.efficiency) best = candidate
  }
  return best
}

/**
 * Rows from bucket `top` downward: all that is needed to reach bucket `mustReach`, then as long as one more row
 * pays. 0 rows when the limits are used up before `mustReach`.
 */
function grow(buckets: readonly Bucket[], top: number, mustReach: number, limits: BatchLimits): Candidate {
  const longestTokens = buckets[top]?.tokens ?? 1
  const capacity = Math.max(1, Math.min(limits.maxRows, Math.floor(limits.budgetTokens / longestTokens)))
  const callCostTokens = limits.budgetTokens * callCostShare
  let rows = 0
  let realTokens = 0
  let index = top
  for (; index >= 0 && rows < capacity; index--) {
    const bucket = buckets[index]
    if (bucket === undefined) break
    const cost = callCostTokens + rows * longestTokens
    const pays = bucket.tokens * cost >= realTokens * longestTokens
    if (index < mustReach && !pays) break
    const added = Math.min(bucket.rows, capacity - rows)
    rows += added
    realTokens += added * bucket.tokens
  }
  const reached = index < mustReach
  return {
    longestTokens,
    rows: reached ? rows : 0,
    efficiency: realTokens / (callCostTokens + rows * longestTokens),
    realShare: realTokens / (rows * longestTokens),
    full: rows === capacity,
  }
}
