import type { PackedWindows } from './messages.ts'

/** Windows as they travel to the inference process. */
export function packWindows(windows: readonly Int32Array[]): PackedWindows {
  const lengths = Int32Array.from(windows, (window) => window.length)
  const ids = new Int32Array(lengths.reduce((sum, length) => sum + length, 0))
  let at = 0
  for (const window of windows) {
    ids.set(window, at)
    at += window.length
  }
  return { ids, lengths }
}

/** A batch as the graph takes it: every row as long as the longest, [rows, columns]. */
export interface PaddedBatch {
  readonly rows: number
  readonly columns: number
  readonly inputIds: Int32Array
  /** 1 where a token stands, 0 where padding does. */
  readonly attentionMask: Int32Array
}

/**
 * Neighbouring windows in groups of `mostTokens` padded tokens at most; a longer window goes alone. Views of the
 * windows given, in their order.
 */
export function tilesOf({ ids, lengths }: PackedWindows, mostTokens: number): PackedWindows[] {
  const tiles: PackedWindows[] = []
  let [row, from] = [0, 0]
  while (row < lengths.length) {
    let [end, to, longest] = [row, from, 0]
    for (; end < lengths.length; end++) {
      const length = lengths[end] ?? 0
      longest = Math.max(longest, length)
      if (end > row && (end + 1 - row) * longest > mostTokens) break
      to += length
    }
    tiles.push({ ids: ids.subarray(from, to), lengths: lengths.subarray(row, end) })
    row = end
    from = to
  }
  return tiles
}

/** Padding ids are 0: the mask keeps the model from looking at them. */
export function padWindows({ ids, lengths }: PackedWindows): PaddedBatch {
  const rows = lengths.length
  const columns = lengths.reduce((most, length) => Math.max(most, length), 0)
  const inputIds = new Int32Array(rows * columns)
  const attentionMask = new Int32Array(rows * columns)
  let from = 0
  for (const [row, length] of lengths.entries()) {
    inputIds.set(ids.subarray(from, from + length), row * columns)
    attentionMask.fill(1, row * columns, row * columns + length)
    from += length
  }
  return { rows, columns, inputIds, attentionMask }
}
