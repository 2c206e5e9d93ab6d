import { median } from '../../src/commands/percentile.ts'
import type { GrowthCell } from './growth-cells.ts'
import { type Spread, spreadOf } from './rounds.ts'
import type { CellFigures } from './stream-cell.ts'

/** A cell with its figures: medians over the rounds, the peak of memory over all of them. */
export interface GrowthRow extends Omit<GrowthCell, 'tokens'> {
  /** Of every text; absent for texts as they come. */
  readonly tokens?: number
  readonly textsPerSecond: Spread
  readonly tokensPerSecond: number
  readonly paddingShare: number
  readonly peakMemoryBytes: number
  readonly inputBytes: number
  readonly outputBytes: number
  readonly outputGzipBytes: number
}

/** What `growth.js --json` prints. */
export interface GrowthReport {
  readonly processor: string
  readonly cores: number
  readonly node: string
  readonly precision: string
  readonly rounds: number
  readonly cellSeconds: number
  readonly minutes: number
  readonly rows: readonly GrowthRow[]
}

export function rowOf({ tokens, ...cell }: GrowthCell, figures: readonly CellFigures[]): GrowthRow {
  const middle = (of: (one: CellFigures) => number): number => median(figures.map(of))
  return {
    ...cell,
    ...(tokens === undefined ? {} : { tokens }),
    textsPerSecond: spreadOf(figures.map(({ textsPerSecond }) => textsPerSecond)),
    tokensPerSecond: middle(({ tokensPerSecond }) => tokensPerSecond),
    paddingShare: middle(({ paddingShare }) => paddingShare),
    peakMemoryBytes: Math.max(...figures.map(({ peakMemoryBytes }) => peakMemoryBytes)),
    inputBytes: middle(({ inputBytes }) => inputBytes),
    outputBytes: middle(({ outputBytes }) => outputBytes),
    outputGzipBytes: middle(({ outputGzipBytes }) => outputGzipBytes),
  }
}
