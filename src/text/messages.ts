import type { ErrorCode } from '../core/errors.ts'
import type { WindowLimits } from './windows.ts'

/** What a tokenising thread is started with. */
export interface TokenizerWorkerData extends WindowLimits {
  readonly folder: string
  /** SHA-256 by file name; a file that is named here and differs is never parsed. */
  readonly expectedDigests?: Readonly<Record<string, string>>
}

/** To a tokenising thread: answered in order, one answer a request. */
export interface TokenizeRequest {
  readonly texts: readonly string[]
}

/** From a tokenising thread: `ready` or `failed` once, then one answer a request. */
export type TokenizerAnswer =
  | { readonly type: 'ready' }
  | { readonly type: 'tokenized'; readonly packed: Int32Array<ArrayBuffer> }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string }
