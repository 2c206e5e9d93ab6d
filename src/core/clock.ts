import { setTimeout as delay } from 'node:timers/promises'

/** Milliseconds since the process started; never goes backwards. For durations and deadlines. */
export const monotonicMs = (): number => performance.now()

/** Milliseconds since the Unix epoch. For timestamps that leave the program. */
export const wallClockMs = (): number => Date.now()

/** Resolves after `ms`, or at once when the signal aborts (it never rejects). */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal })
  } catch {
    // aborted: the caller looks at its signal
  }
}

/** Settles with `promise`, or rejects with `onTimeout()` after `ms`. */
export async function withDeadline<T>(promise: Promise<T>, ms: number, onTimeout: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(onTimeout())
    }, ms)
  })
  try {
    return await Promise.race([promise, deadline])
  } finally {
    clearTimeout(timer)
  }
}

/** Polls `condition` until it is true; rejects with `onTimeout()` when `timeoutMs` have passed. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  options: { timeoutMs: number; everyMs?: number; onTimeout: () => Error },
): Promise<void> {
  const deadline = monotonicMs() + options.timeoutMs
  while (!(await condition())) {
    if (monotonicMs() >= deadline) throw options.onTimeout()
    await sleep(options.everyMs ?? 50)
  }
}
