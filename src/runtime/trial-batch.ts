import type { SessionRate } from './messages.ts'

/** What a choice is measured on: one session, or several processes together. */
export interface MeasuredSession {
  measure(batches: readonly (readonly Int32Array[])[]): Promise<Pick<SessionRate, 'seconds' | 'paddedTokens'>>
}

/** As long as a short message, and no fewer rows at any budget than in real batches. */
const windowTokens = 24
/** Of each choice, in turn or one after the other; the best counts: other work on the machine only ever takes away. */
export const trialRounds = 3
/** So much faster another choice must be than the usual one: less is noise, and would change from start to start. */
export const worthwhile = 1.05

/** Windows of one length and any tokens: what a product costs does not depend on its numbers. */
export const trialBatch = (budgetTokens: number): Int32Array[] =>
  Array.from({ length: Math.max(1, Math.floor(budgetTokens / windowTokens)) }, () =>
    new Int32Array(windowTokens).fill(1),
  )
