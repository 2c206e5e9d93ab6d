import { Pipeline } from '../../src/stream/pipeline.ts'
import type { Scorer, TransactionPort, WriterPort } from '../../src/stream/ports.ts'
import { noMetrics } from './no-metrics.ts'
import { pretendedFormats } from './pretended-model.ts'
import { PretendedReader } from './pretended-reader.ts'
import type { StreamWorld } from './stream-world.ts'

/** So small that waiting, splitting, flushing and holding back all happen with a few hundred texts. */
const options = {
  topics: { scores: 'scores', deadLetters: 'dead-letters' },
  limits: { budgetTokens: 256, maxRows: 16, maxWaitMs: 1 },
  maxInFlightBytes: 40_000,
  commitIntervalMs: 2,
  transactions: { transactionMs: 2, transactionMessages: 20 },
  chunkTexts: 16,
  poolWindows: 64,
  sendMessages: 10,
}

/** A pipeline that scores the world's texts, started, and its consumer. */
export async function startBusyPipeline(
  world: StreamWorld,
  scorer: Scorer,
  {
    writer = world.writer,
    cacheEntries = 0,
  }: { writer?: WriterPort | TransactionPort; cacheEntries?: number },
): Promise<{ pipeline: Pipeline; reader: PretendedReader }> {
  const pipeline = await Pipeline.create(
    { ...options, cacheEntries },
    { writer, scorer, formats: pretendedFormats(world), metrics: noMetrics, random: world.random.next },
  )
  const reader = new PretendedReader(world, pipeline.handlers)
  await pipeline.start(reader)
  return { pipeline, reader }
}
