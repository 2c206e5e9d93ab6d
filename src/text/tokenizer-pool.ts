import { LabelstreamError } from '../core/errors.ts'
import type { TokenizerWorkerData } from './messages.ts'
import { TokenizerThread } from './tokenizer-thread.ts'
import type { TokenizedText, WindowLimits } from './windows.ts'

export interface TokenizerOptions extends WindowLimits {
  /** A model folder with tokenizer.json and, if it has one, tokenizer_config.json. */
  readonly folder: string
  /** SHA-256 by file name, as in the manifest; a file that is named here and differs is never parsed. */
  readonly expectedDigests?: Readonly<Record<string, string>>
  /** Worker threads; at least one is started. */
  readonly threads: number
}

/** Handing texts to another thread costs more than tokenising a handful of them. */
const smallestShare = 16

/** Tokenises in worker threads, so that the main thread stays free for the network. */
export class TokenizerPool {
  readonly #data: TokenizerWorkerData
  readonly #threads: TokenizerThread[]
  #closed = false

  private constructor(options: TokenizerOptions) {
    const { folder, expectedDigests = {}, maxTokens, maxWindows, strideTokens } = options
    this.#data = { folder, expectedDigests, maxTokens, maxWindows, strideTokens }
    this.#threads = Array.from(
      { length: Math.max(1, options.threads) },
      () => new TokenizerThread(this.#data),
    )
  }

  /** Resolves when every thread has loaded the tokenizer. Throws what `loadTokenizer` throws, and SETTING_INVALID. */
  static async start(options: TokenizerOptions): Promise<TokenizerPool> {
    const pool = new TokenizerPool(options)
    try {
      await Promise.all(pool.#threads.map((thread) => thread.ready))
    } catch (error) {
      await pool.close()
      throw error
    }
    return pool
  }

  /**
   * One result a text, in order. When a thread ends under the work, all of it rejects with TOKENIZER_FAILED, and
   * the next call starts a new thread in its place.
   */
  async tokenize(texts: readonly string[]): Promise<TokenizedText[]> {
    if (this.#closed) throw new LabelstreamError('TOKENIZER_FAILED', 'the tokenizer is closed')
    if (texts.length === 0) return []
    this.#replaceEnded()
    const shares = Math.max(1, Math.min(this.#threads.length, Math.floor(texts.length / smallestShare)))
    const size = Math.ceil(texts.length / shares)
    const idlest = [...this.#threads].sort((a, b) => a.outstandingTexts - b.outstandingTexts)
    const results = await Promise.all(
      idlest
        .slice(0, shares)
        .map((thread, share) => thread.tokenize(texts.slice(share * size, (share + 1) * size))),
    )
    return results.flat()
  }

  /** Ends the threads; work in flight rejects. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#threads.map((thread) => thread.close()))
  }

  #replaceEnded(): void {
    for (const [index, thread] of this.#threads.entries()) {
      if (thread.ended) this.#threads[index] = new TokenizerThread(this.#data)
    }
  }
}
