import type { LabelstreamError } from '../core/errors.ts'
import type { DeadLetterStage } from '../formats/dead-letter.ts'
import type { OutgoingMessage, Position, SourceMessage } from '../formats/message.ts'
import type { NamedScores } from '../formats/score-map.ts'
import type { LabelScores } from '../formats/scores.ts'

/** One fetch's messages of one partition, in offset order. */
export interface FetchedRecords {
  readonly topic: string
  readonly partition: number
  readonly messages: readonly SourceMessage[]
  /** One past the last offset covered, control records and compacted gaps included; messages may be empty. */
  readonly nextOffset: number
  readonly highWatermark: number
}

/** What the pipeline hears from the consumer. All of it returns at once. */
export interface IntakeHandlers {
  assigned(epoch: number, partitions: readonly { topic: string; partition: number }[]): void
  /** A commit that is begun inside this call still counts for the epoch. */
  revoked(epoch: number): void
  /** The first call for a partition has no messages: its nextOffset is where reading begins. */
  records(epoch: number, batch: FetchedRecords): void
  failed(error: LabelstreamError): void
}

export interface ReaderPort {
  start(): void | Promise<void>
  pause(): void
  resume(): void
  commit(epoch: number, offsets: readonly Position[]): Promise<'committed' | 'stale'>
  /** Ends the epoch, if it still lasts, and joins the group anew. */
  rejoin(epoch: number): void
  close(): Promise<void>
}

export interface WriterPort {
  /** Resolves when the messages are durable; retries infrastructure faults itself. */
  send(topic: string, partition: number, messages: readonly OutgoingMessage[]): Promise<void>
  partitionCount(topic: string): Promise<number>
}

/** Writes records and offsets together, lane by lane. */
export interface TransactionPort {
  /** Partitions of one lane share their transactions. */
  laneOf(partition: number): number
  /**
   * All of it or nothing. Resolves when it is known to be committed; retries infrastructure faults itself.
   * 'stale': the lane is someone else's by now, and nothing of it was written.
   */
  transact(
    epoch: number,
    lane: number,
    batches: readonly {
      readonly topic: string
      readonly partition: number
      readonly messages: readonly OutgoingMessage[]
    }[],
    positions: readonly Position[],
  ): Promise<'committed' | 'stale'>
  /** Resolves when readers see all that was committed, or gives up after a while. */
  settle(): Promise<void>
  partitionCount(topic: string): Promise<number>
}

export interface TokenizedWindows {
  readonly windows: readonly Int32Array[]
  readonly tokens: number
  readonly truncated: boolean
}

export interface TokenizerPort {
  /** One result a text, in order. */
  tokenize(texts: readonly string[]): Promise<readonly TokenizedWindows[]>
}

export interface InferenceResult {
  /** Logits, [windows, width], row-major. */
  readonly values: Float32Array
  readonly width: number
  readonly seconds: number
  readonly paddedTokens: number
}

export interface InferencePort {
  /** Batches that are computed at the same time (1). */
  readonly processes?: number
  run(windows: readonly Int32Array[]): Promise<InferenceResult>
}

/**
 * Everything that turns texts into scores, of one model version. A text is tokenised and scored by one scorer, so a
 * batch never mixes versions.
 */
export interface Scorer {
  readonly model: {
    readonly name: string
    readonly version: string
    readonly digest: string
    readonly precision: string
  }
  readonly labels: readonly string[]
  /** Tokens of the longest window the tokenizer makes. */
  readonly maxTokens: number
  /** A text that this model is known to score: asked when a text is suspected to be unscorable. */
  readonly knownGoodText: string
  readonly tokenizer: TokenizerPort
  readonly inference: InferencePort
  /** Calibrated scores in label order and the decided labels, highest first, from one text's pooled logits. */
  decide(logits: Float32Array): { readonly scores: Float32Array; readonly decided: readonly string[] }
}

/** An event whose scores are in the model's label order. */
export type ScoresToEncode = Omit<LabelScores, 'scores'> & { readonly scores: NamedScores }

export interface FormatPorts {
  /** Throws (or rejects with) a dead-letter fault, or a retry fault such as REGISTRY_UNREACHABLE. */
  readonly decodeInput: (message: SourceMessage) => DecodedInput | Promise<DecodedInput>
  readonly encodeScores: (event: ScoresToEncode) => Buffer
  /** The message unchanged, with headers that say why it is dead. */
  readonly deadLetter: (
    message: SourceMessage,
    stage: DeadLetterStage,
    error: LabelstreamError,
  ) => OutgoingMessage
}

/** A text to score, or nothing to do. */
export type DecodedInput = { readonly id: string; readonly text: string } | { readonly skip: string }

/** One method per event worth counting. */
export interface PipelineMetrics {
  consumed(topic: string, count: number): void
  scored(model: string, count: number): void
  skipped(topic: string, count: number): void
  deadLettered(reason: string): void
  batch(batch: {
    reason: string
    texts: number
    paddedTokens: number
    realTokens: number
    seconds: number
  }): void
  tokenized(seconds: number): void
  queueWait(seconds: number): void
  /** From reading the message at `source` to the acknowledgement of its outcome. */
  endToEnd(seconds: number, source: Position): void
  inFlightBytes(bytes: number): void
  lag(topic: string, partition: number, messages: number): void
  committed(topic: string, partition: number, offset: number): void
  rebalance(): void
  /** A fault of the infrastructure: what it was about is tried again. The message is the error's. */
  retried(code: string, message: string): void
  /** One text's probabilities; the array of labels is the same for every text of a model. */
  scores(labels: readonly string[], probabilities: Float32Array): void
  decided(label: string): void
  /** A text was not scored because an identical one was or is being scored. */
  cacheHit(): void
}
