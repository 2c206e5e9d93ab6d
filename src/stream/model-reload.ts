import { monotonicMs, sleep } from '../core/clock.ts'
import { asLabelstreamError, type LabelstreamError } from '../core/errors.ts'

/** A model version that can score, in processes of its own. */
export interface WarmModel {
  close(): Promise<void>
}

export interface ReloadPorts<Warm extends WarmModel> {
  /**
   * Another text whenever a version is promoted, also the same one again, or a file of it changes; undefined while none
   * is promoted. Asked often; never rejects.
   */
  mark(): Promise<string | undefined>
  /** The version that is promoted. */
  promoted(): Promise<string | undefined>
  /** Verifies a version and warms it up. Rejects with what is wrong with it, and soon when the signal is aborted. */
  load(version: string, signal: AbortSignal): Promise<Warm>
  /** Gives all texts from now on to it; resolves when its predecessor has none left. Throws when it cannot serve. */
  swap(next: Warm): Promise<void>
  swapped(next: Warm, before: Warm): void
  /** `version` did not take over, and the one before it serves on. */
  notSwapped(version: string | undefined, error: LabelstreamError): void
}

/** Between starts that fail, and not by the model's fault: longer from one time to the next. */
const usualPauses = { firstMs: 1_000, longestMs: 60_000 }

/**
 * Puts the version that is promoted in the place of the one that serves. A version that is refused stays out until
 * it is promoted again or its files change; a start that failed for another reason is repeated. One change is finished,
 * the earlier process ended, before the next begins: there are never more than two.
 */
export class ModelReload<Warm extends WarmModel> {
  readonly #ports: ReloadPorts<Warm>
  readonly #pauses: typeof usualPauses
  readonly #closing = new AbortController()
  #loop: Promise<void> = Promise.resolve()
  #serving: Warm
  #version: string
  /** What was last seen, and what was last dealt with. */
  #seenMark: string | undefined
  #doneMark: string | undefined
  #refused = false
  #failures = 0
  #againAtMs = 0

  /** `serving` serves, and is `version`. */
  constructor(serving: Warm, version: string, ports: ReloadPorts<Warm>, pauses = usualPauses) {
    this.#serving = serving
    this.#version = version
    this.#ports = ports
    this.#pauses = pauses
  }

  /** The model that texts are given to now: its owner's to close, after `close`. */
  get serving(): Warm {
    return this.#serving
  }

  /** From now on looks for a promotion every so often. */
  watch(everyMs: number): void {
    this.#loop = this.#watch(everyMs)
  }

  /** Looks once, and resolves when what was found is done. */
  async check(): Promise<void> {
    const mark = await this.#ports.mark()
    const steady = mark === this.#seenMark
    this.#seenMark = mark
    if (mark === undefined || mark === this.#doneMark) return
    // files that somebody still writes change from look to look
    if (steady ? monotonicMs() < this.#againAtMs : this.#refused) return
    let version: string | undefined
    try {
      version = await this.#ports.promoted()
      if (version !== undefined && version !== this.#version && !(await this.#replaceBy(version))) return
      this.#doneMark = mark
      this.#refused = false
      this.#failures = 0
      this.#againAtMs = 0
    } catch (thrown) {
      if (this.#closing.signal.aborted) return
      this.#notSwapped(version, mark, asLabelstreamError(thrown))
    }
  }

  /** Looks no more. A model that is being loaded is let go; one that took over stays. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#loop
  }

  async #watch(everyMs: number): Promise<void> {
    const { signal } = this.#closing
    for (;;) {
      await sleep(everyMs, signal)
      if (signal.aborted) return
      await this.check()
    }
  }

  /** False when yet another version was promoted meanwhile, which then has the next turn. */
  async #replaceBy(version: string): Promise<boolean> {
    const { signal } = this.#closing
    const next = await this.#ports.load(version, signal)
    let left: Promise<void>
    try {
      if (signal.aborted || (await this.#ports.promoted()) !== version) {
        await next.close()
        return false
      }
      left = this.#ports.swap(next)
    } catch (error) {
      await next.close()
      throw error
    }
    const before = this.#serving
    this.#serving = next
    this.#version = version
    this.#ports.swapped(next, before)
    await left
    await before.close()
    return true
  }

  #notSwapped(version: string | undefined, mark: string, error: LabelstreamError): void {
    this.#refused = error.disposition === 'refuse'
    if (this.#refused) this.#doneMark = mark
    else {
      const { firstMs, longestMs } = this.#pauses
      this.#againAtMs = monotonicMs() + Math.min(longestMs, firstMs * 2 ** this.#failures)
      this.#failures++
    }
    this.#ports.notSwapped(version, error)
  }
}
