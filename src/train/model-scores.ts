import type { Matrix } from '../evaluation/matrix.ts'
import type { Model } from '../models/folder.ts'
import { decideAll } from '../models/score-matrix.ts'
import { TextRunner, type TextRunnerOptions } from '../models/text-runner.ts'
import { hasStoredGraph } from '../runtime/model-config.ts'
import { workUntilInterrupted } from './progress.ts'

/**
 * Calibrated scores [texts, labels of the model] as training compares them: in fp32, or in the precision of a graph that is
 * stored. `onProgress` hears how many windows are done. Throws what inference throws, and INTERRUPTED.
 */
export async function modelScores(
  model: Model,
  texts: readonly string[],
  runner: TextRunnerOptions,
  {
    onProgress,
    signal,
  }: {
    readonly onProgress?: (done: number, total: number) => void
    readonly signal?: AbortSignal | undefined
  } = {},
): Promise<Matrix> {
  const isGraph = hasStoredGraph({ folder: model.folder, expectedDigests: model.fileDigests })
  const started = await TextRunner.start(model, 'logits', { ...runner, precision: isGraph ? 'auto' : 'fp32' })
  const logits = await workUntilInterrupted(started, signal, () => started.run(texts, onProgress))
  return decideAll(model.decision, logits.values).scores
}
