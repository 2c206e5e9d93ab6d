import type { LabelstreamError } from '../core/errors.ts'
import type { OutgoingMessage, Position, SourceMessage } from '../formats/message.ts'

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
  revoked(epoch: number): void
  records(epoch: number, batch: FetchedRecords): void
  failed(error: LabelstreamError): void
}

export interface ReaderPort {
  start(): void | Promise<void>
  pause(): void
  resume(): void
  commit(epoch: number, offsets: readonly Position[]): Promise<'committed' | 'stale'>
  close(): Promise<void>
}

export interface WriterPort {
  /** Resolves when the messages are durable; retries infrastructure faults itself. */
  send(topic: string, partition: number, messages: readonly OutgoingMessage[]): Promise<void>
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

/** All that a score event says. */
export interface ScoreEvent {
  /** `topic/partition/offset` of the input: the same when the message is scored again. */
  readonly eventId: string
  readonly id: string
  readonly source: SourceMessage
  readonly model: Scorer['model']
  /** The model's labels; `scores` is in their order. */
  readonly labels: readonly string[]
  readonly scores: Float32Array
  readonly decided: readonly string[]
  readonly tokens: number
  readonly windows: number
  readonly truncated: boolean
  readonly scoredAtMs: number
}

export interface FormatPorts {
  /** Throws (or rejects with) a dead-letter fault, or a retry fault such as REGISTRY_UNREACHABLE. */
  readonly decodeInput: (message: SourceMessage) => DecodedText | Promise<DecodedText>
  readonly encodeScores: (event: ScoreEvent) => Buffer
  /** The message unchanged, with headers that say why it is dead. `stage`: where it failed. */
  readonly deadLetter: (message: SourceMessage, error: LabelstreamError, stage: string) => OutgoingMessage
}

export interface DecodedText {
  readonly id: string
  readonly text: string
}

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
  endToEnd(seconds: number): void
  inFlightBytes(bytes: number): void
  lag(topic: string, partition: number, messages: number): void
  committed(topic: string, partition: number, offset: number): void
  rebalance(): void
  retried(code: string): void
  score(label: string, probability: number): void
  decided(label: string): void
}
