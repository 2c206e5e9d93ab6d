import { wallClockMs } from '../core/clock.ts'
import type { Metrics } from './metrics.ts'

/** Texts whose time to the acknowledgement was at most `le` seconds, ascending; the last is +Inf. */
export type CumulativeBuckets = readonly { readonly le: number; readonly count: number }[]

/** What the stream's metrics were at one moment; counts are since the start. */
export interface LiveSample {
  /** Since 1970. */
  readonly timeMs: number
  readonly scored: number
  readonly deadLetters: number
  /** Messages behind the ends of all partitions. */
  readonly lag: number
  readonly endToEnd: CumulativeBuckets
}

const everyMs = 2_000
/** Ten minutes. */
const keptSamples = 300

/** The last ten minutes of a stream, a sample every two seconds, for the page that shows them. */
export class LiveHistory {
  readonly #metrics: Metrics
  readonly #samples: LiveSample[] = []
  readonly #timer: NodeJS.Timeout

  constructor(metrics: Metrics) {
    this.#metrics = metrics
    this.#timer = setInterval(() => void this.sample(), everyMs).unref()
  }

  /** Oldest first. */
  get samples(): readonly LiveSample[] {
    return this.#samples
  }

  /** Notes the metrics of now. */
  async sample(timeMs = wallClockMs()): Promise<void> {
    const [scored, deadLetters, lag, endToEnd] = await Promise.all([
      this.#metrics.total('scored_total'),
      this.#metrics.total('dead_letters_total'),
      this.#metrics.total('consumer_lag'),
      this.#metrics.values('end_to_end_seconds'),
    ])
    const buckets = endToEnd
      .filter(({ labels }) => labels['le'] !== undefined)
      .map(({ labels, value }) => ({
        le: Number(String(labels['le']).replace('+Inf', 'Infinity')),
        count: value,
      }))
    this.#samples.push({ timeMs, scored, deadLetters, lag, endToEnd: buckets })
    if (this.#samples.length > keptSamples) this.#samples.shift()
  }

  close(): void {
    clearInterval(this.#timer)
  }
}

/** Texts per second between two samples. */
export const textsPerSecond = (from: LiveSample, to: LiveSample): number =>
  to.timeMs > from.timeMs ? ((to.scored - from.scored) * 1_000) / (to.timeMs - from.timeMs) : 0

/**
 * The time in seconds that a share `q` of the texts between two samples took at most; NaN without texts. Texts are taken
 * to be spread evenly within a bucket, as Prometheus' histogram_quantile takes them; in the last one it is its lower bound.
 */
export function secondsQuantile(q: number, from: CumulativeBuckets, to: CumulativeBuckets): number {
  const counts = to.map(({ le, count }, place) => ({ le, count: count - (from[place]?.count ?? 0) }))
  const total = counts.at(-1)?.count ?? 0
  if (total <= 0) return NaN
  const rank = q * total
  const place = counts.findIndex(({ count }) => count >= rank)
  const bucket = counts[place]
  const below = counts[place - 1] ?? { le: 0, count: 0 }
  if (bucket === undefined || bucket.le === Infinity) return below.le
  return below.le + ((bucket.le - below.le) * (rank - below.count)) / (bucket.count - below.count)
}
