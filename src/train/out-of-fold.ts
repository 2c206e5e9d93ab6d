import { seededRandom } from '../core/random.ts'
import type { ModelConfig } from '../encoders/config.ts'
import { sigmoid } from '../evaluation/calibrators.ts'
import { type Matrix, matrix } from '../evaluation/matrix.ts'
import type { Row } from './dataset.ts'
import { type HeadHyperparameters, type HeadRows, fitHead } from './fit-head.ts'
import { textGroups } from './text-groups.ts'

/**
 * The fold of each row, 0 up to `folds`, at random; near-duplicates are in one fold, so that no row is judged by its own
 * copy. Fewer different texts than folds give fewer folds.
 */
export function foldsOf(rows: readonly Row[], folds: number, seed: number): readonly number[] {
  const groups = [...textGroups(rows.map(({ text }) => text)).groupOf]
  const foldOfGroup = new Map(
    seededRandom(seed)
      .shuffle([...new Set(groups)])
      .map((group, place) => [group, place % folds]),
  )
  return groups.map((group) => foldOfGroup.get(group) ?? 0)
}

/**
 * Probabilities `[rows, labels]` of every row by a head that was trained on the other folds' rows. The epoch of a head
 * is the one with the best loss on the fold that it scores: one number chosen from a whole fold.
 * The same inputs and seed give the same bits on one machine. Throws TRAINING_FAILED, INTERRUPTED.
 */
export async function outOfFold(
  config: ModelConfig,
  rows: HeadRows,
  folds: readonly number[],
  hyperparameters: HeadHyperparameters,
  {
    onFold,
    signal,
  }: { readonly onFold?: (done: number, folds: number) => void; readonly signal?: AbortSignal } = {},
): Promise<Matrix> {
  const { rows: count, columns } = rows.targets
  const predicted = new Float32Array(count * columns)
  const foldCount = Math.max(...folds) + 1
  for (let fold = 0; fold < foldCount; fold++) {
    const inside = placesWhere(folds, (each) => each === fold)
    const others = placesWhere(folds, (each) => each !== fold)
    const head = await fitHead(config, rowsAt(rows, others), rowsAt(rows, inside), hyperparameters, {
      ...(signal === undefined ? {} : { signal }),
    })
    await head.close()
    inside.forEach((row, place) => {
      const logits = head.devLogits.values.subarray(place * columns, (place + 1) * columns)
      predicted.set(logits.map(sigmoid), row * columns)
    })
    onFold?.(fold + 1, foldCount)
  }
  return matrix(count, columns, predicted)
}

const placesWhere = (folds: readonly number[], holds: (fold: number) => boolean): readonly number[] =>
  folds.flatMap((fold, row) => (holds(fold) ? [row] : []))

function rowsAt({ embeddings, targets }: HeadRows, places: readonly number[]): HeadRows {
  const pick = ({ columns, values }: Matrix): Matrix => {
    const picked = new Float32Array(places.length * columns)
    places.forEach((row, place) => {
      picked.set(values.subarray(row * columns, (row + 1) * columns), place * columns)
    })
    return matrix(places.length, columns, picked)
  }
  return { embeddings: pick(embeddings), targets: pick(targets) }
}
