import { monotonicMs } from '../core/clock.ts'
import type { Logger } from './log.ts'

/** How often the same thing is said again while it lasts. */
const everyMs = 30_000

/** Says what is waited for and tried again: at once when it is new, then now and then. */
export class RetryLog {
  readonly #log: Logger
  readonly #now: () => number
  readonly #said = new Map<string, { atMs: number; unsaid: number }>()

  /** `now` in milliseconds, never going backwards. */
  constructor(log: Logger, now: () => number = monotonicMs) {
    this.#log = log
    this.#now = now
  }

  /** `message` is an error's: it names what is waited for, and holds no text and no secret. */
  retried(code: string, message: string): void {
    const known = this.#said.get(code)
    const now = this.#now()
    if (known !== undefined && now - known.atMs < everyMs) {
      known.unsaid += 1
      return
    }
    this.#said.set(code, { atMs: now, unsaid: 0 })
    this.#log.warn(`trying again: ${message}`, {
      code,
      ...(known === undefined ? {} : { times: known.unsaid + 1 }),
    })
  }
}
