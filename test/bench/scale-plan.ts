import { coresOf, type GrowthAxis } from './growth-cells.ts'
import type { GrowthReport, GrowthRow } from './growth-report.ts'
import { grouped, markdownTable } from './page-blocks.ts'

export interface PlanTarget {
  readonly textsPerSecond: number
  /** Share of the measured rate that a pod is planned for: the rest catches up after a restart. */
  readonly utilisation: number
  /** Copies of each record on the brokers. */
  readonly replicas: number
  /** Programs that read the scores. */
  readonly readers: number
}

export interface ScalePlan {
  /** Texts a second of one pod, and what it is. */
  readonly podTextsPerSecond: number
  readonly podCores: number
  readonly pods: number
  readonly cores: number
  readonly partitions: number
  readonly memoryBytes: number
  /** Core-hours for a million texts. */
  readonly coreHoursPerMillion: number
  /** Bytes a second. */
  readonly network: {
    readonly produced: number
    readonly replicated: number
    readonly consumed: number
  }
  readonly storedBytesPerDay: number
}

const rowsOn = ({ rows }: GrowthReport, axis: GrowthAxis): readonly GrowthRow[] =>
  rows.filter((row) => row.axis === axis)

/** The pod that is planned with: of the ways to use all cores, the fastest. With a core idle a rate flatters. */
function podRow(report: GrowthReport): GrowthRow {
  const [first, ...others] = rowsOn(report, 'cores').filter((row) => coresOf(row) >= report.cores)
  if (first === undefined) throw new RangeError('the figures have no row on cores')
  return others.reduce(
    (best, row) => (row.textsPerSecond.median > best.textsPerSecond.median ? row : best),
    first,
  )
}

/** What it takes to score so many texts a second, in proportion to what was measured. */
export function scalePlan(report: GrowthReport, target: PlanTarget): ScalePlan {
  const row = podRow(report)
  const podCores = report.cores
  const rate = row.textsPerSecond.median * target.utilisation
  const pods = Math.ceil(target.textsPerSecond / rate)
  const members = pods * row.members
  const perText = row.inputBytes + row.outputBytes
  return {
    podTextsPerSecond: row.textsPerSecond.median,
    podCores,
    pods,
    cores: pods * podCores,
    // two for each member: a member more or less moves whole partitions, and the shares stay near each other
    partitions: 2 * members,
    memoryBytes: pods * row.peakMemoryBytes,
    coreHoursPerMillion: (1e6 * podCores) / rate / 3_600,
    network: {
      produced: target.textsPerSecond * perText,
      replicated: target.textsPerSecond * perText * (target.replicas - 1),
      consumed: target.textsPerSecond * (row.inputBytes + row.outputBytes * target.readers),
    },
    storedBytesPerDay: target.textsPerSecond * perText * target.replicas * 86_400,
  }
}

/** The measured table in Markdown; the range of the rounds where there are several. */
export function growthTable(report: GrowthReport): string {
  const several = report.rounds > 1
  const range = several ? ['least - most'] : []
  return markdownTable(
    ['varied', '', 'texts/s', ...range, 'real tokens/s', 'padding', 'peak memory, MiB', 'bytes an event'],
    report.rows.map((row) => {
      const { median, min, max } = row.textsPerSecond
      return [
        axisNames[row.axis],
        row.value,
        grouped(median),
        ...(several ? [`${grouped(min)} - ${grouped(max)}`] : []),
        grouped(row.tokensPerSecond),
        `${(100 * row.paddingShare).toFixed(1)} %`,
        grouped(row.peakMemoryBytes / 1_048_576),
        grouped(row.outputBytes),
      ]
    }),
  )
}

const axisNames: { readonly [Axis in GrowthAxis]: string } = {
  cores: 'cores',
  tokens: 'tokens of every text',
  labels: 'labels',
  partitions: 'partitions',
  members: 'members of one inference process',
}

/** The plan in Markdown, with how it changes with the length of texts and the number of labels. */
export function planText(report: GrowthReport, target: PlanTarget): string {
  const plan = scalePlan(report, target)
  const row = podRow(report)
  const gigabits = (bytes: number): string => `${grouped((8 * bytes) / 1e9, 1)} Gbit/s`
  const percent = (share: number): string => `${(100 * share).toFixed(0)} %`
  const rows: (readonly [string, string, string])[] = [
    [
      'one pod',
      `${grouped(plan.podTextsPerSecond)} texts/s on ${plan.podCores} cores`,
      `measured: ${row.value}, ${report.precision}, ${grouped(row.tokensPerSecond / plan.podTextsPerSecond, 1)} tokens a text, ${row.labels} labels`,
    ],
    ['pods', grouped(plan.pods), `T / (texts/s of a pod x ${percent(target.utilisation)})`],
    ['cores', grouped(plan.cores), 'pods x cores of a pod; brokers not counted'],
    ['memory', `${grouped(plan.memoryBytes / 2 ** 40, 1)} TiB`, 'pods x measured peak'],
    ['partitions', grouped(plan.partitions), 'two for each member of the group'],
    [
      'a message, an event',
      `${grouped(row.inputBytes)} and ${grouped(row.outputBytes)} bytes`,
      `measured: value, key and headers; the event's value gzipped with its neighbours: ${grouped(row.outputGzipBytes)}`,
    ],
    ['written to the brokers', gigabits(plan.network.produced), 'T x (message + event)'],
    ['between the brokers', gigabits(plan.network.replicated), `${target.replicas} replicas`],
    [
      'read from the brokers',
      gigabits(plan.network.consumed),
      `the group, and ${target.readers} reader of the scores`,
    ],
    [
      'kept on the brokers',
      `${grouped(plan.storedBytesPerDay / 1e12, 0)} TB a day`,
      'before compression, all replicas',
    ],
    [
      'cost of a million texts',
      `${grouped(plan.coreHoursPerMillion, 2)} core-hours`,
      'cores x 10^6 / (T x 3600); times the price of a core-hour',
    ],
  ]
  return [
    markdownTable([`T = ${grouped(target.textsPerSecond)} texts/s`, '', 'how'], rows),
    ...byAxis(report, target, 'tokens', 'Length of every text, in tokens'),
    ...byAxis(report, target, 'labels', 'Labels'),
  ].join('\n\n')
}

/** Cores and written bytes for the same T along an axis. */
function byAxis(report: GrowthReport, target: PlanTarget, axis: GrowthAxis, title: string): string[] {
  const rows = rowsOn(report, axis)
  if (rows.length === 0) return []
  const cells = rows.map((row) => {
    const { value, textsPerSecond, inputBytes, outputBytes } = row
    const cores = Math.min(coresOf(row), report.cores)
    return [
      value,
      grouped((target.textsPerSecond * cores) / (textsPerSecond.median * target.utilisation)),
      `${grouped((8 * target.textsPerSecond * (inputBytes + outputBytes)) / 1e9, 1)} Gbit/s`,
    ]
  })
  return [markdownTable([title, 'cores', 'written to the brokers'], cells)]
}
