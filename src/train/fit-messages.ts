import type { ErrorCode } from '../core/errors.ts'
import type { ModelConfig } from '../encoders/config.ts'
import type { ConcreteProvider } from '../runtime/messages.ts'
import type { TokenRows } from './encoder-batches.ts'
import type { EncoderHyperparameters } from './encoder-hyperparameters.ts'
import type { EpochLoss } from './fit-head.ts'

/** One training of a whole encoder; all of it can be posted to another process. */
export interface FitJob {
  readonly config: ModelConfig
  /** Every parameter to start from. */
  readonly parameters: ReadonlyMap<string, Float32Array>
  readonly hyperparameters: EncoderHyperparameters
  readonly train: TokenRows
  readonly dev: TokenRows
  /** Windows to score with the trained parameters, by a name of the caller's. */
  readonly scored: ReadonlyMap<string, readonly Int32Array[]>
  /** The encoder's trained weights are rounded to halves, as they will be stored; the head's are not. */
  readonly halves: boolean
  /** A folder that belongs to this very training: same data, options and seed. */
  readonly checkpointFolder: string
  readonly checkpointEverySeconds: number
  /** The first that takes the training graph trains. */
  readonly providers: readonly ConcreteProvider[]
  readonly threads: number
}

export interface FitProgress {
  readonly step: number
  readonly totalSteps: number
  /** Mean of the epoch so far, a label. */
  readonly loss: number
  readonly tokensPerSecond: number
  readonly secondsLeft: number
}

export interface EncoderEpoch extends EpochLoss {
  /** Mean average precision on the dev part; what the best epoch is chosen by. */
  readonly devScore: number
}

export interface FitResult {
  /** Of the best epoch. */
  readonly parameters: ReadonlyMap<string, Float32Array>
  readonly logits: ReadonlyMap<string, Float32Array>
  readonly devLogits: Float32Array
  readonly history: readonly EncoderEpoch[]
  readonly bestEpoch: number
  readonly steps: number
  readonly trainableParameters: number
  /** Real tokens of all steps and the time they took, over all processes that worked on it. */
  readonly tokens: number
  readonly seconds: number
  /** The step of the checkpoint that this process started from; 0 for none. */
  readonly resumedFrom: number
  readonly peakMemoryBytes: number
}

/** To the training process: one job. */
export type FitRequest = { readonly kind: 'fit'; readonly job: FitJob }

/** From the training process: progress and warnings, then one of the other three. */
export type FitReply =
  | { readonly kind: 'progress'; readonly progress: FitProgress }
  | { readonly kind: 'warning'; readonly message: string }
  | { readonly kind: 'done'; readonly result: FitResult }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }
