import type { PipelineMetrics } from '../../src/stream/ports.ts'

export const noMetrics: PipelineMetrics = {
  consumed: () => undefined,
  scored: () => undefined,
  skipped: () => undefined,
  deadLettered: () => undefined,
  batch: () => undefined,
  tokenized: () => undefined,
  queueWait: () => undefined,
  endToEnd: () => undefined,
  inFlightBytes: () => undefined,
  lag: () => undefined,
  committed: () => undefined,
  rebalance: () => undefined,
  retried: () => undefined,
  scores: () => undefined,
  decided: () => undefined,
  cacheHit: () => undefined,
}
