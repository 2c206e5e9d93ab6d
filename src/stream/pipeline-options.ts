import type { BatchLimits } from './batcher.ts'
import type { TransactionLimits } from './exactly-once.ts'
import type { OutputTopics } from './output-plan.ts'
import type { FormatPorts, PipelineMetrics, Scorer, TransactionPort, WriterPort } from './ports.ts'

export interface PipelineOptions {
  readonly topics: OutputTopics
  readonly limits: BatchLimits
  readonly maxInFlightBytes: number
  readonly commitIntervalMs: number
  /** Only for transactions. Default: 100 ms or 2,000 outcomes. */
  readonly transactions?: TransactionLimits
  /** Batches at one inference process at once (2). */
  readonly inflightBatches?: number
  /** Texts tokenised in one call (256), and calls to the tokenizer at once (2; one more than its threads). */
  readonly chunkTexts?: number
  readonly chunksAtOnce?: number
  /**
   * Tokenised windows that may wait for a batch; a larger pool pads less and waits longer. Unless given, as many as
   * the budget has tokens (at least 768): that is some tens of batches, and about 2 % of padding.
   */
  readonly poolWindows?: number
  /** Texts whose scores are kept for identical ones; 0 (or nothing): every text is scored by itself. */
  readonly cacheEntries?: number
  /** Most messages (1,000) and bytes (900,000: brokers take 1 MiB unless told otherwise) in one send. */
  readonly sendMessages?: number
  readonly sendBytes?: number
}

export interface PipelinePorts {
  /** Writing one by one delivers at least once, transactions exactly once. */
  readonly writer: WriterPort | TransactionPort
  readonly scorer: Scorer
  readonly formats: FormatPorts
  readonly metrics: PipelineMetrics
  /** Uniform in [0, 1): the jitter of back-offs. */
  readonly random?: () => number
}
