type Labels = Readonly<Record<string, string>>

/** One series' observations. */
export class BucketCounts {
  readonly labels: Labels
  readonly #bounds: Float64Array
  readonly #counts: Float64Array
  #sum = 0

  constructor(labels: Labels, bounds: Float64Array) {
    this.labels = labels
    this.#bounds = bounds
    // the last bucket is above all bounds
    this.#counts = new Float64Array(bounds.length + 1)
  }

  /** Throws TypeError for a value that is not a finite number: it would spoil the sum for good. */
  observe(value: number): void {
    if (!Number.isFinite(value)) throw new TypeError(`a histogram cannot observe ${value}`)
    let bucket = 0
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? Infinity)) bucket++
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#sum += value
  }

  /** The lines of a Prometheus histogram `name`: cumulative buckets, sum and count. */
  lines(name: string): { metricName: string; labels: Record<string, string | number>; value: number }[] {
    let cumulative = 0
    const buckets = Array.from(this.#counts, (count, bucket) => {
      cumulative += count
      const le = this.#bounds[bucket] ?? '+Inf'
      return { metricName: `${name}_bucket`, labels: { le, ...this.labels }, value: cumulative }
    })
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels: { ...this.labels }, value: this.#sum },
      { metricName: `${name}_count`, labels: { ...this.labels }, value: cumulative },
    ]
  }
}

/**
 * A histogram that counts in arrays and takes prom-client's form only when it is scraped: prom-client's own hashes
 * the labels at every observation (300 ns against 17), and scores are observed for every label of every text.
 */
export class BucketHistogram {
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  readonly name: string
  readonly help: string
  readonly #bounds: Float64Array
  readonly #series = new Map<string, BucketCounts>()

  constructor(name: string, help: string, buckets: readonly number[]) {
    this.name = name
    this.help = help
    this.#bounds = Float64Array.from(buckets)
  }

  /** The series with these labels; it is shown from now on. */
  labels(labels: Labels): BucketCounts {
    const key = JSON.stringify(labels)
    const series = this.#series.get(key) ?? new BucketCounts(labels, this.#bounds)
    this.#series.set(key, series)
    return series
  }

  reset(): void {
    this.#series.clear()
  }

  /** What prom-client's registry asks of a metric. */
  get() {
    const values = [...this.#series.values()].flatMap((series) => series.lines(this.name))
    const { name, help, type, aggregator } = this
    return Promise.resolve({ name, help, type, aggregator, values })
  }
}
