import type { ErrorCode } from '../core/errors.ts'

/** Where a model can run. `auto` is the best that this machine has. */
export type Provider = 'auto' | 'cpu' | 'cuda' | 'webgpu' | 'dml' | 'coreml'
export type ConcreteProvider = Exclude<Provider, 'auto'>

/** Number format of the weights and of the arithmetic. `auto` is what the provider does best. */
export type Precision = 'auto' | 'fp32' | 'int8' | 'fp16'
export type ConcretePrecision = Exclude<Precision, 'auto'>

/**
 * Operators of an encoder's graph on CUDA. plain: ONNX's own; joined: those that ONNX Runtime has for BERT; packed:
 * these without padding.
 */
export type GraphKind = 'plain' | 'joined' | 'packed'

/**
 * What the encoder's graph answers with: scores before the sigmoid, the pooled vector before the head, or how large
 * what its linear layers read was.
 */
export type Output = 'logits' | 'embedding' | 'activationExtremes'

/** Windows as two arrays: the ids of all of them one after the other, and each one's length. */
export interface PackedWindows {
  readonly ids: Int32Array
  readonly lengths: Int32Array
}

/** What one session needs to start. */
export interface SessionRequest {
  readonly folder: string
  readonly output: Output
  /** Tried in order; the first that starts serves. */
  readonly providers: readonly ConcreteProvider[]
  readonly precision: Precision
  /** What precision `auto` is on the CPU: int8 only for a model whose int8 scores were compared with fp32. */
  readonly autoOnCpu: 'fp32' | 'int8'
  /** What the encoder's graph is made of, where the provider takes it. */
  readonly graph: GraphKind
  /** 0 is one thread a core. */
  readonly threads: number
  /** SHA-256 by file name; a file that is named here and differs is never parsed. */
  readonly expectedDigests: Readonly<Record<string, string>>
  /** Where graphs are kept from one start to the next; undefined keeps none. */
  readonly graphFolder?: string
}

/** What a session turned out to be. */
export interface SessionInfo {
  readonly provider: ConcreteProvider
  readonly precision: ConcretePrecision
  /** As it serves, which may be plainer than what was asked for. */
  readonly graph: GraphKind
  /** Numbers a row: labels for logits, the hidden size for embeddings. */
  readonly width: number
  /** Why a provider before this one did not start. */
  readonly providerFallback?: string
}

export interface BatchResult {
  /** [windows, width], row-major. */
  readonly values: Float32Array
  readonly width: number
  /** In the session alone, without the way to the child and back. */
  readonly seconds: number
  /** Rows times the longest row. */
  readonly paddedTokens: number
}

/** Resident memory of the inference process. */
export interface ProcessMemory {
  readonly residentBytes: number
  readonly peakBytes: number
}

/** The session alone, without this program around it. */
export interface SessionRate {
  readonly seconds: number
  readonly rows: number
  readonly realTokens: number
  readonly paddedTokens: number
}

/** The encoder's matrix products alone. */
export interface ProductRate {
  readonly seconds: number
  readonly multiplyAdds: number
  /** Of the products, for one token of a text. */
  readonly multiplyAddsPerToken: number
}

/** To the inference process. It answers in order, one answer a request. */
export type InferenceRequest =
  | { readonly type: 'start'; readonly session: SessionRequest }
  | { readonly type: 'run'; readonly windows: PackedWindows }
  | { readonly type: 'measure'; readonly batches: readonly PackedWindows[] }
  | { readonly type: 'measureProducts'; readonly rows: number; readonly repetitions: number }
  | { readonly type: 'stop' }

/** From the inference process. */
export type InferenceAnswer =
  | { readonly type: 'started'; readonly info: SessionInfo; readonly memory: ProcessMemory }
  | { readonly type: 'result'; readonly result: BatchResult; readonly memory: ProcessMemory }
  | { readonly type: 'measured'; readonly rate: SessionRate; readonly memory: ProcessMemory }
  | { readonly type: 'measuredProducts'; readonly rate: ProductRate; readonly memory: ProcessMemory }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string }
