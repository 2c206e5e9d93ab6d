import type { RateFigures } from './bench-rate.ts'
import type { BareFigures, SessionFigures } from './bench-session.ts'
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
  const bare = (figures: (round: Round) => BareFigures) => ({
    textsPerSecond: middle((round) => figures(round).textsPerSecond),
    paddedTokensPerSecond: middle((round) => figures(round).paddedTokensPerSecond),
    budgetTokens: middle((round) => figures(round).budgetTokens),
    multiplyAddsPerSecond: middle((round) => figures(round).multiplyAddsPerSecond),
    processes: middle((round) => figures(round).processes),
    threads: middle((round) => figures(round).threads),
  })
  const capacity = middle(({ stream }) => stream.textsPerSecond)
  const rates = measuredRates.map((rate) => ({ ...rate, capacityShare: rate.wantedPerSecond / capacity }))
  return {
    texts,
    rounds: rounds.length,
    session: bare(({ session }) => session.session),
    asServed: bare(({ session }) => session.asServed),
    products: {
      multiplyAddsPerSecond: middle(({ session }) => session.session.productsMultiplyAddsPerSecond),
      asServedMultiplyAddsPerSecond: middle(({ session }) => session.asServed.productsMultiplyAddsPerSecond),
      sessionShare: middle(({ session }) => shareOfProducts(session.session)),
      asServedShare: middle(({ session }) => shareOfProducts(session.asServed)),
    },
    endToEnd: {
      textsPerSecond: capacity,
      paddedTokensPerSecond: middle(({ stream }) => stream.paddedTokensPerSecond),
      p50Ms: middle(({ stream }) => stream.p50Ms),
      p99Ms: middle(({ stream }) => stream.p99Ms),
      peakMemoryBytes: Math.max(...rounds.map(({ stream }) => stream.peakMemoryBytes)),
    },
    ratio: middle(({ session, stream }) => stream.textsPerSecond / session.session.textsPerSecond),
    ratioToServed: middle(({ session, stream }) => stream.textsPerSecond / session.asServed.textsPerSecond),
    paddingShare: middle(({ stream }) => stream.paddingShare),
    ...(rates.length === 0 ? {} : { rate: rates[0], rates }),
    precision: first?.precision,
    provider: first?.provider,
    graph: first?.graph,
  }
}

const shareOfProducts = ({ multiplyAddsPerSecond, productsMultiplyAddsPerSecond }: BareFigures): number =>
  multiplyAddsPerSecond / productsMultiplyAddsPerSecond

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
      [
        row(`bare session of ${report.session.threads} threads`, report.session),
        row(`bare, ${processesOf(report.asServed)}`, report.asServed),
        row('Kafka to Kafka', report.endToEnd),
      ],
    ),
  )
  context.print(sentences(report).join('\n'))
}

const processesOf = ({ processes, threads }: { processes: number; threads: number }): string =>
  `${processes} processes of ${threads} ${threads === 1 ? 'thread' : 'threads'}`

function sentences({ endToEnd, session, asServed, products, rates = [], ...report }: Report): string[] {
  const milliseconds = (value: number): string => `${value.toFixed(0)} ms`
  const percent = (share: number): string => `${(100 * share).toFixed(0)} %`
  return [
    `ratio ${report.ratio.toFixed(2)} to the bare session, ${report.ratioToServed.toFixed(2)} to the processes that serve (medians of ${report.rounds} rounds of ${report.texts} texts, ${report.precision ?? ''} on ${report.provider ?? ''})`,
    `padding ${(100 * report.paddingShare).toFixed(1)} % of the padded tokens`,
    `multiply-adds/s in linear layers: ${giga(session.multiplyAddsPerSecond)} in the session, ${giga(asServed.multiplyAddsPerSecond)} in the processes, which is ${percent(products.sessionShare)} of ${giga(products.multiplyAddsPerSecond)} and ${percent(products.asServedShare)} of ${giga(products.asServedMultiplyAddsPerSecond)} that the same matrix products alone reach there`,
    `peak memory ${(endToEnd.peakMemoryBytes / 1_048_576).toFixed(0)} MiB in all processes`,
    `from fetch to acknowledgement, with a full backlog: p50 ${milliseconds(endToEnd.p50Ms)}, p99 ${milliseconds(endToEnd.p99Ms)}`,
    ...rates.map(
      (rate) =>
        `at ${rate.wantedPerSecond.toFixed(1)} texts/s on a schedule (${percent(rate.capacityShare)} of the capacity, ${rate.achievedPerSecond.toFixed(1)} achieved), from due to acknowledged: p50 ${milliseconds(rate.p50Ms)}, p99 ${milliseconds(rate.p99Ms)}, p99.9 ${milliseconds(rate.p999Ms)}, worst ${milliseconds(rate.worstMs)}`,
    ),
  ]
}

const giga = (perSecond: number): string => `${(perSecond / 1e9).toFixed(0)} billion`
