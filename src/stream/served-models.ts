import { promiseWithSettlers, type PromiseWithSettlers } from './end-watch.ts'
import { ModelWork, type ModelWorkEffects, type ModelWorkOptions } from './model-work.ts'
import type { Scorer } from './ports.ts'
import type { DecodedText } from './tokenizing.ts'

/**
 * The models of one stream: the one that texts are given to, and earlier ones until what they were given is done. A
 * change of the model is one assignment between two chunks of texts; nothing that was begun is moved.
 */
export class ServedModels {
  readonly #options: ModelWorkOptions
  readonly #effects: ModelWorkEffects
  #current: ModelWork
  readonly #leaving = new Map<ModelWork, PromiseWithSettlers>()
  #draining = false
  #closed = false
  /** Of models that have left. */
  #paddedTokens = 0
  #realTokens = 0

  /** Throws SETTING_INVALID when one window of the model could exceed the token budget. */
  constructor(scorer: Scorer, options: ModelWorkOptions, effects: ModelWorkEffects) {
    this.#options = options
    this.#effects = effects
    this.#current = new ModelWork(scorer, options, effects)
  }

  /** Whether another chunk can be taken. */
  get free(): boolean {
    return this.#current.free
  }

  /** Windows that wait for a batch, of all models. */
  get waiting(): number {
    return this.#sum(({ waiting }) => waiting)
  }

  get idle(): boolean {
    return this.#current.idle && this.#leaving.size === 0
  }

  get paddedTokens(): number {
    return this.#paddedTokens + this.#sum(({ paddedTokens }) => paddedTokens)
  }

  get realTokens(): number {
    return this.#realTokens + this.#sum(({ realTokens }) => realTokens)
  }

  /** Gives texts to the model that serves, and returns how many of them are to be scored. */
  take(texts: readonly DecodedText[]): number {
    return this.#current.take(texts)
  }

  /**
   * From the next text on this model serves. Resolves when the one before it has nothing left to do. Throws
   * SETTING_INVALID when it cannot serve here; then nothing has changed.
   */
  swap(scorer: Scorer): Promise<void> {
    const next = new ModelWork(scorer, this.#options, this.#effects)
    const before = this.#current
    this.#current = next
    if (this.#draining) next.drain()
    if (this.#closed) {
      next.close()
      return Promise.resolve()
    }
    const left = promiseWithSettlers()
    this.#leaving.set(before, left)
    before.drain()
    this.pump()
    return left.promise
  }

  /** Dispatches what can go now, and lets go of models that are done. */
  pump(): void {
    for (const work of this.#leaving.keys()) {
      work.pump()
      if (work.idle) this.#dismiss(work)
    }
    this.#current.pump()
  }

  /** From now on nothing waits for its batch to fill. */
  drain(): void {
    this.#draining = true
    this.#current.drain()
  }

  /** Forgets what waits: its epoch ended. */
  drop(): void {
    this.#current.drop()
    for (const work of this.#leaving.keys()) work.drop()
    this.pump()
  }

  close(): void {
    this.#closed = true
    this.#current.close()
    for (const work of this.#leaving.keys()) this.#dismiss(work)
  }

  #dismiss(work: ModelWork): void {
    work.close()
    this.#paddedTokens += work.paddedTokens
    this.#realTokens += work.realTokens
    this.#leaving.get(work)?.resolve()
    this.#leaving.delete(work)
  }

  #sum(of: (work: ModelWork) => number): number {
    let sum = of(this.#current)
    for (const work of this.#leaving.keys()) sum += of(work)
    return sum
  }
}
