import type { EChartsCoreOption } from 'echarts/core'
import type { Matrix } from '../evaluation/matrix.ts'
import type { EpochLoss } from './fit-head.ts'

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

export interface Plot {
  readonly svg: string
  /** What the plot shows, in words. */
  readonly alternative: string
  /** What it leaves out. */
  readonly note?: string
}

/** A plot before it is drawn. */
export type Drawing = Omit<Plot, 'svg'> & {
  readonly option: EChartsCoreOption
  readonly width: number
  readonly height: number
}

export interface Table {
  readonly header: readonly string[]
  readonly rows: readonly (readonly (string | number)[])[]
}

/** White behind, so that it reads on a dark page and on paper alike. */
export const sheet = (title: string, left: number): EChartsCoreOption => ({
  animation: false,
  silent: true,
  backgroundColor: '#fff',
  title: { text: title, left, top: 8, textStyle: { fontSize: 15, color: '#111' } },
})
