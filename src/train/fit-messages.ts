import type { ErrorCode } from '../core/errors.ts'
import type { FitJob, FitProgress, FitResult } from './encoder-fit.ts'

/** To the training process: one job. */
export type FitRequest = { readonly kind: 'fit'; readonly job: FitJob }

/** From the training process: progress and warnings, then one of the other three. */
export type FitReply =
  | { readonly kind: 'progress'; readonly progress: FitProgress }
  | { readonly kind: 'warning'; readonly message: string }
  | { readonly kind: 'done'; readonly result: FitResult }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }
