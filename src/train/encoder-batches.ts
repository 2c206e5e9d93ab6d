import { type Random, seededRandom } from '../core/random.ts'
import type { Matrix } from '../evaluation/matrix.ts'
import { derivedSeed } from './schedule.ts'

/** One window of token ids a text, with the targets [rows, labels], NaN where unknown. */
export interface TokenRows {
  readonly windows: readonly Int32Array[]
  readonly targets: Matrix
}

/** Rows as the graph takes them: [rows, columns], the longest row sets the columns. */
export interface PaddedRows {
  readonly rows: number
  readonly columns: number
  readonly inputIds: Int32Array
  /** 1 where a token stands, 0 where padding does. */
  readonly attentionMask: Int32Array
}

/** Rows are sorted by length within pools of this many batches: little padding, and still a random order. */
const poolBatches = 50

export const stepsPerEpoch = (rows: number, batch: number): number => Math.ceil(rows / batch)

/** The batches of an epoch as row numbers: the same for the same seed and epoch, whenever it is asked for. */
export function epochBatches(
  lengths: readonly number[],
  { batch, seed, epoch }: { batch: number; seed: number; epoch: number },
): number[][] {
  const random = seededRandom(derivedSeed(seed, 'order', epoch))
  const order = random.shuffle(lengths.map((_length, row) => row))
  const batches: number[][] = []
  for (let start = 0; start < order.length; start += batch * poolBatches) {
    const pool = order.slice(start, start + batch * poolBatches)
    pool.sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0))
    for (let first = 0; first < pool.length; first += batch) batches.push(pool.slice(first, first + batch))
  }
  return random.shuffle(batches)
}

/**
 * Cuts a batch into parts of at most `budgetTokens` padded tokens (a row longer than that goes alone); rows are
 * sorted by length, so that parts hardly pad.
 */
export function withinBudget(
  rows: readonly number[],
  lengths: readonly number[],
  budgetTokens: number,
): number[][] {
  const sorted = [...rows].sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0))
  const parts: number[][] = []
  let part: number[] = []
  for (const row of sorted) {
    if (part.length > 0 && (part.length + 1) * (lengths[row] ?? 0) > budgetTokens) {
      parts.push(part)
      part = []
    }
    part.push(row)
  }
  if (part.length > 0) parts.push(part)
  return parts
}

export function padRows(windows: readonly Int32Array[], rows: readonly number[]): PaddedRows {
  const taken = rows.map((row) => windows[row] ?? new Int32Array(0))
  const columns = taken.reduce((most, { length }) => Math.max(most, length), 1)
  const inputIds = new Int32Array(rows.length * columns)
  const attentionMask = new Int32Array(rows.length * columns)
  taken.forEach((window, place) => {
    inputIds.set(window, place * columns)
    attentionMask.fill(1, place * columns, place * columns + window.length)
  })
  return { rows: rows.length, columns, inputIds, attentionMask }
}

/**
 * Hides a share of each row's tokens, as if the words were not there: nothing attends to them, and they have no part
 * in the pooled vector. Never the first and the last token, which are the special ones of most tokenizers.
 */
export function dropTokens(padded: PaddedRows, share: number, random: Random): void {
  if (share === 0) return
  const { rows, columns, attentionMask } = padded
  for (let row = 0; row < rows; row++) {
    const length = attentionMask.subarray(row * columns, (row + 1) * columns).lastIndexOf(1) + 1
    for (let column = 1; column < length - 1; column++) {
      if (random.next() < share) attentionMask[row * columns + column] = 0
    }
  }
}

/** Targets and the mask of known cells, [rows, labels]; targets move towards 1/2 by `smoothing`. */
export function targetRows(
  { columns, values }: Matrix,
  rows: readonly number[],
  smoothing: number,
): { targets: Float32Array; mask: Float32Array; known: number } {
  const targets = new Float32Array(rows.length * columns)
  const mask = new Float32Array(rows.length * columns)
  let known = 0
  rows.forEach((row, place) => {
    for (let column = 0; column < columns; column++) {
      const target = values[row * columns + column] ?? NaN
      if (Number.isNaN(target)) continue
      targets[place * columns + column] = target * (1 - smoothing) + smoothing / 2
      mask[place * columns + column] = 1
      known++
    }
  })
  return { targets, mask, known }
}
