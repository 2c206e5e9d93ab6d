import { monotonicMs, sleep } from './clock.ts'

const shortestMs = 50
const longestMs = 5_000

/**
 * How long to wait before attempt number `attempt` (1 is the first repetition): doubles from 50 ms to 5 s,
 * of which a random half is taken away, so that many waiting clients do not come back at once.
 */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(longestMs, shortestMs * 2 ** Math.min(attempt - 1, 20))
  return ceiling * (0.5 + random() / 2)
}

/** Repeats `work` with back-off as long as `isTransient` says so and the time lasts; then its error is thrown. */
export async function repeatWhile<T>(
  work: () => Promise<T>,
  isTransient: (error: unknown) => boolean,
  limitMs: number,
): Promise<T> {
  const deadline = monotonicMs() + limitMs
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!isTransient(error) || monotonicMs() >= deadline) throw error
      await sleep(backoffMs(attempt))
    }
  }
}
