import { Counter, Gauge, type Metric, Registry, collectDefaultMetrics } from 'prom-client'
import { BucketHistogram } from './bucket-histogram.ts'

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const scoreBuckets = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1]

/** What is measured, by the name that follows `labelstream_`. Nothing else creates a metric. */
export const metricCatalogue = {
  consumed_total: { type: 'counter', help: 'Messages read from the input topic.', labels: ['topic'] },
  scored_total: { type: 'counter', help: 'Texts whose scores were published.', labels: ['model'] },
  skipped_total: { type: 'counter', help: 'Tombstones, which have no text to score.', labels: ['topic'] },
  dead_letters_total: {
    type: 'counter',
    help: 'Messages sent to the dead-letter topic.',
    labels: ['reason'],
  },
  published_total: { type: 'counter', help: 'Score events acknowledged by the brokers.', labels: [] },
  cache_hits_total: {
    type: 'counter',
    help: 'Texts not scored again, because an identical one was in flight or in the cache.',
    labels: [],
  },
  batches_total: {
    type: 'counter',
    help: 'Batches sent to inference, by why they were sent then.',
    labels: ['reason'],
  },
  batch_texts: {
    type: 'histogram',
    help: 'Windows in a batch.',
    labels: [],
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
  },
  batch_padded_tokens: {
    type: 'histogram',
    help: 'Padded tokens in a batch: rows x longest row.',
    labels: [],
    buckets: [32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 65_536],
  },
  padding_share: {
    type: 'gauge',
    help: 'Share of padding in the padded tokens since the start.',
    labels: [],
  },
  inference_seconds: {
    type: 'histogram',
    help: 'Time of one batch in the inference session.',
    labels: [],
    buckets: secondsBuckets,
  },
  tokenize_seconds: {
    type: 'histogram',
    help: 'Time to tokenise one chunk of texts.',
    labels: [],
    buckets: secondsBuckets,
  },
  queue_wait_seconds: {
    type: 'histogram',
    help: 'Time a window waited for its batch.',
    labels: [],
    buckets: secondsBuckets,
  },
  end_to_end_seconds: {
    type: 'histogram',
    help: 'Time from reading a message to the acknowledgement of its outcome.',
    labels: [],
    buckets: secondsBuckets,
  },
  in_flight_bytes: { type: 'gauge', help: 'Bytes of messages read and not yet finished.', labels: [] },
  consumer_lag: {
    type: 'gauge',
    help: 'Messages behind the end of the partition.',
    labels: ['topic', 'partition'],
  },
  committed_offset: { type: 'gauge', help: 'Offset committed last.', labels: ['topic', 'partition'] },
  rebalances_total: { type: 'counter', help: 'Times the group handed out its partitions anew.', labels: [] },
  retries_total: { type: 'counter', help: 'Retries of infrastructure faults.', labels: ['code'] },
  label_score: { type: 'histogram', help: 'Scores by label.', labels: ['label'], buckets: scoreBuckets },
  label_decisions_total: { type: 'counter', help: 'Texts given the label.', labels: ['label'] },
  model_info: {
    type: 'gauge',
    help: 'The model being served; always 1.',
    labels: ['name', 'version', 'digest', 'provider', 'precision'],
  },
  provider_fallbacks_total: {
    type: 'counter',
    help: 'Times the wanted execution provider, or the wanted graph on it, could not be used and the CPU, or a plainer graph, was taken.',
    labels: ['wanted'],
  },
  model_reloads_total: { type: 'counter', help: 'Changes of the served model.', labels: ['result'] },
  inference_restarts_total: {
    type: 'counter',
    help: 'Replacements of the inference process.',
    labels: ['reason'],
  },
  transactions_total: { type: 'counter', help: 'Transactions, by how they ended.', labels: ['result'] },
} as const

type Catalogue = typeof metricCatalogue
export type MetricName = keyof Catalogue
type Of<Type extends string> = {
  [Name in MetricName]: Catalogue[Name]['type'] extends Type ? Name : never
}[MetricName]
type LabelsOf<Name extends MetricName> = Readonly<Record<Catalogue[Name]['labels'][number], string>>

/** One series of a metric at one moment. */
export interface MetricValue {
  readonly labels: Readonly<Partial<Record<string, string | number>>>
  readonly value: number
}

/** A metric with its label values bound: cheap to use in a hot path. */
export interface BoundCounter {
  inc(by?: number): void
}
export interface BoundHistogram {
  observe(value: number): void
}

/** Counts in a number and hands it to prom-client, which hashes the labels at every call, when it is scraped. */
class PendingCount implements BoundCounter {
  readonly #counter: BoundCounter
  #pending = 0

  constructor(counter: BoundCounter) {
    this.#counter = counter
  }

  inc(by = 1): void {
    this.#pending += by
  }

  flush(): void {
    this.#counter.inc(this.#pending)
    this.#pending = 0
  }
}

/** The metrics of one process, in a registry of their own. */
export class Metrics {
  readonly registry = new Registry()
  readonly #counters = new Map<string, Counter>()
  readonly #gauges = new Map<string, Gauge>()
  readonly #histograms = new Map<string, BucketHistogram>()
  readonly #pending = new Map<string, PendingCount[]>()

  constructor() {
    collectDefaultMetrics({ register: this.registry })
    for (const [name, row] of Object.entries(metricCatalogue)) {
      const common = {
        name: `labelstream_${name}`,
        help: row.help,
        labelNames: row.labels,
        registers: [this.registry],
      }
      if (row.type === 'counter') {
        const pending: PendingCount[] = []
        const collect = (): void => {
          for (const count of pending) count.flush()
        }
        this.#pending.set(name, pending)
        this.#counters.set(name, new Counter({ ...common, collect }))
      } else if (row.type === 'gauge') this.#gauges.set(name, new Gauge(common))
      else {
        const histogram = new BucketHistogram(common.name, row.help, row.buckets)
        this.#histograms.set(name, histogram)
        // the registry asks a metric for its name and for `get` alone
        this.registry.registerMetric(histogram as unknown as Metric)
      }
    }
  }

  /** The counter with its labels bound; it shows as 0 from now on. */
  counter<Name extends Of<'counter'>>(name: Name, labels: LabelsOf<Name>): BoundCounter {
    const bound = metric(this.#counters, name).labels(labels)
    bound.inc(0)
    const pending = new PendingCount(bound)
    metric(this.#pending, name).push(pending)
    return pending
  }

  histogram<Name extends Of<'histogram'>>(name: Name, labels: LabelsOf<Name>): BoundHistogram {
    return metric(this.#histograms, name).labels(labels)
  }

  setGauge<Name extends Of<'gauge'>>(name: Name, labels: LabelsOf<Name>, value: number): void {
    metric(this.#gauges, name).set(labels, value)
  }

  /** The series of a metric as a scrape would show them. */
  async values(name: MetricName): Promise<readonly MetricValue[]> {
    const found = this.registry.getSingleMetric(`labelstream_${name}`)
    return found === undefined ? [] : (await found.get()).values
  }

  /** All series of a counter or gauge together. */
  async total(name: Of<'counter' | 'gauge'>): Promise<number> {
    return (await this.values(name)).reduce((sum, { value }) => sum + value, 0)
  }

  /** Forgets every label combination of a gauge, such as the lag of partitions that others own now. */
  resetGauge(name: Of<'gauge'>): void {
    metric(this.#gauges, name).reset()
  }
}

function metric<Kind>(metrics: ReadonlyMap<string, Kind>, name: string): Kind {
  const found = metrics.get(name)
  if (found === undefined) throw new Error(`no metric ${name}`)
  return found
}

/** docs/metrics.md */
export function metricsPage(): string {
  const rows = Object.entries(metricCatalogue).map(
    ([name, row]) =>
      `| \`labelstream_${name}\` | ${row.type} | ${row.labels.map((label) => `\`${label}\``).join(', ')} | ${row.help} |`,
  )
  return [
    '# Metrics',
    '',
    'Served as Prometheus text on `/metrics`, beside the process metrics of prom-client. No metric holds a text.',
    'This page is made by `npm run docs`.',
    '',
    '| metric | type | labels | meaning |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}
