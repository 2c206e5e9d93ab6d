import { monotonicMs } from '../core/clock.ts'
import { LiveHistory } from './live-history.ts'
import { renderLivePage } from './live-html.ts'
import type { Metrics } from './metrics.ts'

export interface LivePageOptions {
  readonly metrics: Metrics
  /** Null when ready, else what is still missing, in a few words. */
  readonly notReady: () => string | null
}

const pageAgeMs = 1_000

/** The page of a running stream. It is drawn at most once a second, however many look at it. */
export class LivePage {
  readonly #options: LivePageOptions
  readonly #history: LiveHistory
  #drawn: { readonly atMs: number; readonly html: Promise<string> } | undefined

  constructor(options: LivePageOptions) {
    this.#options = options
    this.#history = new LiveHistory(options.metrics)
  }

  html(atMs = monotonicMs()): Promise<string> {
    const { metrics, notReady } = this.#options
    if (this.#drawn === undefined || atMs - this.#drawn.atMs > pageAgeMs) {
      this.#drawn = { atMs, html: renderLivePage(metrics, this.#history.samples, notReady()) }
    }
    return this.#drawn.html
  }

  close(): void {
    this.#history.close()
  }
}
