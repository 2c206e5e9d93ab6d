import type { RateFigures } from './bench-rate.ts'
import type { SessionFigures } from './bench-session.ts'
import type { StreamFigures } from './bench-stream.ts'
import type { CommandContext } from './command.ts'
import { table } from './output.ts'
import { median } from './percentile.ts'

/** The two measured one after the other, so that what the machine does besides hits both. */
export interface Round {
  readonly session: SessionFigures
  readonly stream: StreamFigures
}

/** What `bench --json` prints: medians over the rounds, and latencies at each rate; `rate` is the first of them. */
export function benchReport(rounds: readonly Round[], texts: number, measuredRates: readonly RateFigures[]) {
  const middle = (figure: (round: Round) => number): number => median(rounds.map(figure))
  const first = rounds[0]?.session
  const capacity = middle(({ stream }) => stream.textsPerSecond)
  const rates = measuredRates.map((rate) => ({ ...rate, capacityShare: rate.wantedPerSecond / capacity }))
  return {
    texts,
    rounds: rounds.length,
    session: {
      textsPerSecond: middle(({ session }) => session.textsPerSecond),
      paddedTokensPerSecond: middle(({ session }) => session.paddedTokensPerSecond),
      budgetTokens: middle(({ session }) => session.budgetTokens),
      multiplyAddsPerSecond: middle(({ session }) => session.multiplyAddsPerSecond),
    },
    products: {
      multiplyAddsPerSecond: middle(({ session }) => session.productsMultiplyAddsPerSecond),
      sessionShare: middle(
        ({ session }) => session.multiplyAddsPerSecond / session.productsMultiplyAddsPerSecond,
      ),
    },
    endToEnd: {
      textsPerSecond: capacity,
      paddedTokensPerSecond: middle(({ stream }) => stream.paddedTokensPerSecond),
      p50Ms: middle(({ stream }) => stream.p50Ms),
      p99Ms: middle(({ stream }) => stream.p99Ms),
      peakMemoryBytes: Math.max(...rounds.map(({ stream }) => stream.peakMemoryBytes)),
    },
    processes: first?.processes,
    threads: first?.threads,
    ratio: middle(({ session, stream }) => stream.textsPerSecond / session.textsPerSecond),
    paddingShare: middle(({ stream }) => stream.paddingShare),
    ...(rates.length === 0 ? {} : { rate: rates[0], rates }),
    precision: first?.precision,
    provider: first?.provider,
  }
}

type Report = ReturnType<typeof benchReport>

export function printBench(context: CommandContext, report: Report): void {
  context.printJson(report)
  const row = (name: string, figures: { textsPerSecond: number; paddedTokensPerSecond: number }) => [
    name,
    figures.textsPerSecond.toFixed(0),
    figures.paddedTokensPerSecond.toFixed(0),
  ]
  context.print(
    table(
      ['', 'texts/s', 'padded tokens/s'],
      [row('bare session', report.session), row('Kafka to Kafka', report.endToEnd)],
    ),
  )
  context.print(sentences(report).join('\n'))
}

function sentences({ endToEnd, session, products, rates = [], ...report }: Report): string[] {
  const milliseconds = (value: number): string => `${value.toFixed(0)} ms`
  return [
    `ratio ${report.ratio.toFixed(2)} (median of ${report.rounds} rounds of ${report.texts} texts, ${report.precision ?? ''} on ${report.provider ?? ''}, inference processes: ${report.processes ?? 1}, threads of each: ${report.threads ?? 1})`,
    `padding ${(100 * report.paddingShare).toFixed(1)} % of the padded tokens`,
    `the session does ${giga(session.multiplyAddsPerSecond)} multiply-adds/s in its linear layers, ${(100 * products.sessionShare).toFixed(0)} % of the ${giga(products.multiplyAddsPerSecond)} of the same matrix products alone`,
    `peak memory ${(endToEnd.peakMemoryBytes / 1_048_576).toFixed(0)} MiB in all processes`,
    `from fetch to acknowledgement, with a full backlog: p50 ${milliseconds(endToEnd.p50Ms)}, p99 ${milliseconds(endToEnd.p99Ms)}`,
    ...rates.map(
      (rate) =>
        `at ${rate.wantedPerSecond.toFixed(1)} texts/s on a schedule (${(100 * rate.capacityShare).toFixed(0)} % of the capacity, ${rate.achievedPerSecond.toFixed(1)} achieved), from due to acknowledged: p50 ${milliseconds(rate.p50Ms)}, p99 ${milliseconds(rate.p99Ms)}, p99.9 ${milliseconds(rate.p999Ms)}, worst ${milliseconds(rate.worstMs)}`,
    ),
  ]
}

const giga = (perSecond: number): string => `${(perSecond / 1e9).toFixed(0)} billion`
