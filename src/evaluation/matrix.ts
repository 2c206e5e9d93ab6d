/** A dense row-major matrix. Scores and logits hold one row a text and one column a label. */
export interface Matrix {
  readonly rows: number
  readonly columns: number
  /** `rows * columns` values; in targets NaN means unknown. */
  readonly values: Float32Array
}

/** A matrix over `values`. Throws a RangeError when the shape does not fit: that is a fault in the caller. */
export function matrix(rows: number, columns: number, values: Float32Array): Matrix {
  if (values.length !== rows * columns) {
    throw new RangeError(`a ${rows} x ${columns} matrix needs ${rows * columns} values, got ${values.length}`)
  }
  return { rows, columns, values }
}

/** One label's known cells: scores (or logits) and targets of the rows whose target is not NaN. */
export function knownCells(
  scores: Matrix,
  targets: Matrix,
  column: number,
): { scores: Float32Array; targets: Float32Array } {
  const keptScores = new Float32Array(scores.rows)
  const keptTargets = new Float32Array(scores.rows)
  let kept = 0
  for (let row = 0; row < scores.rows; row++) {
    const target = targets.values[row * targets.columns + column] ?? NaN
    if (Number.isNaN(target)) continue
    keptScores[kept] = scores.values[row * scores.columns + column] ?? 0
    keptTargets[kept] = target
    kept++
  }
  return { scores: keptScores.subarray(0, kept), targets: keptTargets.subarray(0, kept) }
}

/** These rows alone, in this order. */
export function rowsOf({ columns, values }: Matrix, rows: readonly number[]): Matrix {
  const taken = new Float32Array(rows.length * columns)
  rows.forEach((row, place) => {
    taken.set(values.subarray(row * columns, (row + 1) * columns), place * columns)
  })
  return { rows: rows.length, columns, values: taken }
}

/** A soft target counts as positive from 0.5 on (as the decision of a fixed threshold would). */
export const isPositive = (target: number): boolean => target >= 0.5

/** Indices that sort `values` from high to low; equal values keep their order. */
export function descendingOrder(values: Float32Array): Uint32Array {
  const order = Uint32Array.from(values, (_value, index) => index)
  return order.sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b)
}
