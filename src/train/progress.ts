import { LabelstreamError } from '../core/errors.ts'

/** What training is at; `done` of `total` in the phase's own unit (windows, epochs, folds). */
export interface TrainingProgress {
  readonly phase: 'teach' | 'encode' | 'train' | 'compare' | 'labels' | 'write'
  readonly done: number
  readonly total: number
  /** Figures for people, such as the losses of the epoch. */
  readonly detail?: string
}

export type OnTrainingProgress = (progress: TrainingProgress) => void

/** Throws INTERRUPTED when the signal was aborted. */
export function checkInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true)
    throw new LabelstreamError('INTERRUPTED', 'training was interrupted; no version was written')
}
