import { type Dataset, positivesOf } from './dataset.ts'

/** What one part of the data has, by label. */
export interface PartCounts {
  readonly part: string
  readonly rows: number
  /** Sums of known targets. */
  readonly positives: Float64Array
  /** Rows whose target is unknown. */
  readonly unknown: Float64Array
}

export function partCounts(part: string, dataset: Dataset): PartCounts {
  const unknown = new Float64Array(dataset.labels.length)
  for (const { targets } of dataset.rows) {
    targets.forEach((target, place) => {
      if (Number.isNaN(target)) unknown[place] = (unknown[place] ?? 0) + 1
    })
  }
  return { part, rows: dataset.rows.length, positives: positivesOf(dataset), unknown }
}
