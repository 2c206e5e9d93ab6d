import type { Settings } from '../settings/catalogue.ts'
import type { CommandContext } from './command.ts'
import { percentile } from './percentile.ts'
import { Stream } from './stream.ts'

export interface StreamFigures {
  readonly textsPerSecond: number
  readonly paddedTokensPerSecond: number
  readonly paddingShare: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly peakMemoryBytes: number
}

/** The same texts from topic to topic, by the job that `run` starts. */
export async function endToEnd(context: CommandContext, settings: Settings): Promise<StreamFigures> {
  const latenciesMs: number[] = []
  const stream = await Stream.start(settings, context.log, (seconds) => latenciesMs.push(seconds * 1000))
  try {
    await stream.untilEnd()
    const { scored, paddedTokens, realTokens, firstFetchMs = 0, lastAckMs = 0 } = stream.totals
    const seconds = (lastAckMs - firstFetchMs) / 1000
    latenciesMs.sort((a, b) => a - b)
    return {
      textsPerSecond: scored / seconds,
      paddedTokensPerSecond: paddedTokens / seconds,
      paddingShare: 1 - realTokens / paddedTokens,
      p50Ms: percentile(latenciesMs, 0.5),
      p99Ms: percentile(latenciesMs, 0.99),
      peakMemoryBytes: stream.peakMemoryBytes,
    }
  } finally {
    await stream.stop()
  }
}
