/** What `runSorted` needs of an inference process. */
export interface WindowRunner {
  run(windows: readonly Int32Array[]): Promise<{ readonly values: Float32Array; readonly width: number }>
}

export interface SortedRunOptions {
  /** Most padded tokens (rows x longest row) of one batch; a longer window goes alone. */
  readonly budgetTokens: number
  /** Hears how many windows are done. */
  readonly onProgress?: (done: number) => void
}

/** Batches at the inference process at once: one computes while the next one travels. */
const batchesAtOnce = 2

/**
 * Runs many windows in batches of like lengths (least padding), for work where nobody waits for a single text.
 * Returns one row a window, in the order given. Rejects with what the runner rejects with.
 */
export async function runSorted(
  runner: WindowRunner,
  windows: readonly Int32Array[],
  options: SortedRunOptions,
): Promise<Float32Array[]> {
  const rows = new Array<Float32Array>(windows.length)
  const batches = sortedBatches(
    windows.map(({ length }) => length),
    options.budgetTokens,
  ).values()
  let done = 0
  const work = async (): Promise<void> => {
    for (const batch of batches) {
      const { values, width } = await runner.run(batch.map((index) => windows[index] ?? new Int32Array()))
      for (const [row, index] of batch.entries()) rows[index] = values.slice(row * width, (row + 1) * width)
      done += batch.length
      options.onProgress?.(done)
    }
  }
  await Promise.all(Array.from({ length: batchesAtOnce }, work))
  return rows
}

/** Indices of windows in batches: sorted by length, longest first, each as large as the budget allows. */
export function sortedBatches(lengths: readonly number[], budgetTokens: number): number[][] {
  const order = lengths.map((_length, index) => index)
  order.sort((a, b) => (lengths[b] ?? 0) - (lengths[a] ?? 0))
  const batches: number[][] = []
  let batch: number[] = []
  let longest = 0
  for (const index of order) {
    if (batch.length > 0 && (batch.length + 1) * longest > budgetTokens) {
      batches.push(batch)
      batch = []
    }
    if (batch.length === 0) longest = Math.max(1, lengths[index] ?? 1)
    batch.push(index)
  }
  if (batch.length > 0) batches.push(batch)
  return batches
}
