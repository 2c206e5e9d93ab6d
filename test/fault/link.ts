import { sleep } from '../../src/core/clock.ts'

/** The network between one broker and its clients. What passes on a connection keeps its order. */
export class Link {
  #delayMs = 0
  #bytesPerSecond = Infinity
  #stopped: Promise<void> | undefined
  #go: () => void = () => undefined

  /** Nothing holds up what passes. */
  get quick(): boolean {
    return this.#stopped === undefined && this.#delayMs === 0 && this.#bytesPerSecond === Infinity
  }

  /** From now on each message takes this long, and its bytes are so many a second on each connection. */
  slow(options: { readonly delayMs: number; readonly bytesPerSecond: number }): void {
    this.#delayMs = options.delayMs
    this.#bytesPerSecond = options.bytesPerSecond
  }

  /** From now on nothing passes. */
  stop(): void {
    this.#stopped ??= new Promise((resolve) => {
      this.#go = resolve
    })
  }

  restore(): void {
    this.#delayMs = 0
    this.#bytesPerSecond = Infinity
    this.#stopped = undefined
    this.#go()
  }

  /** Resolves when a message of this size has passed. */
  async pass(sizeBytes: number): Promise<void> {
    await this.#stopped
    const ms = this.#delayMs + (sizeBytes / this.#bytesPerSecond) * 1_000
    if (ms > 0) await sleep(ms)
  }
}
