import { asLabelstreamError, type LabelstreamError } from '../core/errors.ts'
import { isolate } from './bisection.ts'

export interface LaneEffects<Item, Result> {
  readonly run: (items: readonly Item[]) => Promise<Result>
  /** Does the same for a known-good item. */
  readonly probe: () => Promise<unknown>
  /** False for items whose epoch ended: they are not tried again. */
  readonly live: (item: Item) => boolean
  readonly done: (items: readonly Item[], result: Result, tag: string) => void
  readonly condemned: (item: Item, error: LabelstreamError) => void
  readonly retried: (error: LabelstreamError) => void
  /** The work cannot be done, whatever the data. */
  readonly failed: (error: LabelstreamError) => void
  /** A place became free. */
  readonly freed: () => void
}

/**
 * Up to `width` groups of items at work at once. When a group fails, nothing new starts; when the others have
 * settled, the failed groups are tried again one by one, and split until the bad item is found. Alone, because a
 * process that one item kills takes its neighbours' work with it, and those are innocent.
 */
export class Lane<Item, Result> {
  readonly #width: number
  readonly #effects: LaneEffects<Item, Result>
  #atWork = 0
  #isolating = false
  #closed = false
  #suspects: (readonly Item[])[] = []

  constructor(width: number, effects: LaneEffects<Item, Result>) {
    this.#width = width
    this.#effects = effects
  }

  /** Whether a group can be started now. */
  get free(): boolean {
    return !this.#closed && !this.#isolating && this.#suspects.length === 0 && this.#atWork < this.#width
  }

  /** Nothing is at work or waits to be tried again. */
  get idle(): boolean {
    return this.#atWork === 0 && !this.#isolating && this.#suspects.length === 0
  }

  /** Starts a group; `tag` comes back with its result ("isolation" when it was tried again). */
  start(items: readonly Item[], tag: string): void {
    this.#atWork++
    void this.#attempt(items, tag)
  }

  /** Nothing is started or tried again from now on, and what is at work has no effect. */
  close(): void {
    this.#closed = true
    this.#suspects = []
  }

  async #attempt(items: readonly Item[], tag: string): Promise<void> {
    try {
      const result = await this.#effects.run(items)
      this.#settle(() => {
        this.#effects.done(items, result, tag)
      })
    } catch (thrown) {
      if (this.#closed) return
      const error = asLabelstreamError(thrown)
      // A wrong model or setting stays wrong; anything else is tried again, and the probe tells what is at fault.
      if (error.disposition === 'refuse') this.#effects.failed(error)
      else {
        this.#effects.retried(error)
        this.#suspects.push(items)
      }
    }
    this.#atWork--
    if (this.#suspects.length === 0) this.#settle(this.#effects.freed)
    else if (this.#atWork === 0 && !this.#isolating) await this.#isolate()
  }

  async #isolate(): Promise<void> {
    this.#isolating = true
    try {
      for (let group = this.#suspects.pop(); group !== undefined; group = this.#suspects.pop()) {
        const items = group.filter((item) => this.#effects.live(item))
        if (items.length === 0) continue
        await isolate(items, {
          run: this.#effects.run,
          probe: this.#effects.probe,
          done: (part, result) => {
            this.#settle(() => {
              this.#effects.done(part, result, 'isolation')
            })
          },
          condemned: (item, error) => {
            this.#settle(() => {
              this.#effects.condemned(item, error)
            })
          },
          retried: this.#effects.retried,
          cancelled: () => this.#closed || !items.some((item) => this.#effects.live(item)),
        })
      }
    } catch (thrown) {
      this.close()
      this.#effects.failed(asLabelstreamError(thrown))
    }
    this.#isolating = false
    this.#settle(this.#effects.freed)
  }

  /** A fault while a result is taken in is a fault of this program, never of the items. */
  #settle(effect: () => void): void {
    if (this.#closed) return
    try {
      effect()
    } catch (thrown) {
      this.close()
      this.#effects.failed(asLabelstreamError(thrown))
    }
  }
}
