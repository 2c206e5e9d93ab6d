import type { Matrix } from '../evaluation/matrix.ts'
import type { Model } from '../models/folder.ts'
import { decideAll } from '../models/score-matrix.ts'
import { TextRunner, type TextRunnerOptions } from '../models/text-runner.ts'
import { hasStoredGraph } from '../runtime/model-config.ts'
import { workUntilInterrupted } from './progress.ts'

interface Watching {
  /** Hears how many windows are done. */
  readonly onProgress?: (done: number, total: number) => void
  readonly signal?: AbortSignal | undefined
}

/** Calibrated scores [texts, labels of the model]; otherwise as `modelLogits`. */
export async function modelScores(
  model: Model,
  texts: readonly string[],
  runner: TextRunnerOptions,
  watching: Watching = {},
): Promise<Matrix> {
  return decideAll(model.decision, await modelLogits(model, texts, runner, watching)).scores
}

/**
 * Logits [texts, labels of the model] as training compares them: in fp32, or in the precision of a graph that is stored.
 * Throws what inference throws, and INTERRUPTED.
 */
export async function modelLogits(
  model: Model,
  texts: readonly string[],
  runner: TextRunnerOptions,
  { onProgress, signal }: Watching = {},
): Promise<Matrix> {
  const isGraph = hasStoredGraph({ folder: model.folder, expectedDigests: model.fileDigests })
  const started = await TextRunner.start(model, 'logits', { ...runner, precision: isGraph ? 'auto' : 'fp32' })
  return (await workUntilInterrupted(started, signal, () => started.run(texts, onProgress))).values
}
