import { boundOf, type CheckResult, type DeliveryMode } from '../fault/checker.ts'
import { type Slope, slopeOf } from './slope.ts'

/** One look at the member that stays. */
export interface SoakSample {
  readonly seconds: number
  readonly mainBytes: number
  readonly childBytes: number
  readonly descriptors: number
  /** What keeps Node's event loop going: sockets, timers, pipes. */
  readonly handles: number
  /** Messages written and not committed. */
  readonly lag: number
}

export interface SoakRun {
  readonly seed: number
  readonly delivery: DeliveryMode
  readonly minutes: number
  /** Texts a second, of one member without anybody else. */
  readonly capacity: number
  /** Texts a second that were written. */
  readonly rate: number
  readonly inputs: number
  readonly rebalances: number
  readonly promotions: number
  /** As the member's metrics count them, by result. */
  readonly reloads: Readonly<Record<string, number>>
  readonly samples: readonly SoakSample[]
  readonly checks: readonly CheckResult[]
}

export interface SoakReport extends SoakRun {
  /** MB an hour; of the time after the first fifth, in which caches fill. */
  readonly mainMegabytes: Slope | undefined
  readonly childMegabytes: Slope | undefined
  readonly descriptors: Slope | undefined
  readonly handles: Slope | undefined
  readonly lag: { readonly median: number; readonly p99: number; readonly most: number }
  readonly failures: number
}

const warmUpShare = 0.2
const megabyte = 1_048_576

export function soakReport(run: SoakRun): SoakReport {
  const endSeconds = run.samples.at(-1)?.seconds ?? 0
  const steady = run.samples.filter(({ seconds }) => seconds >= endSeconds * warmUpShare)
  const slope = (valueOf: (sample: SoakSample) => number): Slope | undefined =>
    slopeOf(steady.map((sample) => ({ hours: sample.seconds / 3_600, value: valueOf(sample) })))
  const lags = steady.map(({ lag }) => lag).sort((a, b) => a - b)
  const at = (share: number): number => lags[Math.floor((lags.length - 1) * share)] ?? 0
  return {
    ...run,
    mainMegabytes: slope(({ mainBytes }) => mainBytes / megabyte),
    childMegabytes: slope(({ childBytes }) => childBytes / megabyte),
    descriptors: slope(({ descriptors }) => descriptors),
    handles: slope(({ handles }) => handles),
    lag: { median: at(0.5), p99: at(0.99), most: lags.at(-1) ?? 0 },
    failures: run.checks.filter(({ broken }) => broken > 0).length,
  }
}

/** The report in lines for a person. */
export function soakLines(report: SoakReport): string[] {
  const { samples, reloads, lag } = report
  const first = samples[0]
  const last = samples.at(-1)
  const megabytes = (bytes = 0): string => (bytes / megabyte).toFixed(0)
  const slope = (name: string, unit: string, found: Slope | undefined, from: string, to: string): string =>
    found === undefined
      ? `${name}: too few samples`
      : `${name}: ${found.perHour.toFixed(1)} ${unit} an hour (95 %: ${found.low.toFixed(1)} to ${found.high.toFixed(1)}), from ${from} to ${to}`
  const counted = Object.entries(reloads).map(([result, times]) => `${times} ${result}`)
  return [
    `${report.delivery}, ${report.minutes} min, seed ${report.seed}: ${report.inputs} inputs at ${report.rate.toFixed(0)} texts/s, ${((100 * report.rate) / report.capacity).toFixed(0)} % of ${report.capacity.toFixed(0)}`,
    `${report.rebalances} rebalances; ${report.promotions} promotions, reloads: ${counted.join(', ') || 'none'}`,
    slope(
      'memory, main process',
      'MB',
      report.mainMegabytes,
      megabytes(first?.mainBytes),
      megabytes(last?.mainBytes),
    ),
    slope(
      'memory, inference processes',
      'MB',
      report.childMegabytes,
      megabytes(first?.childBytes),
      megabytes(last?.childBytes),
    ),
    slope('open files', 'files', report.descriptors, String(first?.descriptors), String(last?.descriptors)),
    slope('handles', 'handles', report.handles, String(first?.handles), String(last?.handles)),
    `lag: median ${lag.median}, 99 % below ${lag.p99}, most ${lag.most} messages`,
    ...report.checks.flatMap((check) => [
      `${check.broken === 0 ? 'ok    ' : 'BROKEN'} ${check.name}: ${boundOf(check)}`,
      ...check.examples.map((example) => `       ${example}`),
    ]),
  ]
}
