import type { Matrix } from '../evaluation/matrix.ts'
import type { EpochLoss } from './fit-head.ts'
import type { Plot, UndrawnPlot } from '../core/svg-plots.ts'

/** What the plots of a report are drawn from. */
export interface PlotData {
  readonly labels: readonly string[]
  /** Calibrated scores of the dev part. */
  readonly scores: Matrix
  readonly targets: Matrix
  /** From where on each label is decided. */
  readonly thresholds: readonly number[]
  readonly history: readonly EpochLoss[]
  readonly bestEpoch: number
}

/** A plot before it is drawn. */
export type Drawing = Omit<Plot, 'svg'> & UndrawnPlot

export interface Table {
  readonly header: readonly string[]
  readonly rows: readonly (readonly (string | number)[])[]
}
