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

/** `work` on something that is closed after it, and before its end when the signal is aborted. Throws INTERRUPTED then. */
export async function workUntilInterrupted<Result>(
  closable: { readonly close: () => Promise<void> },
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  const abort = (): void => void closable.close()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    checkInterrupted(signal)
    return await work()
  } catch (error) {
    // closing makes the work fail; that it was closed is the reason to give
    checkInterrupted(signal)
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
    await closable.close()
  }
}
