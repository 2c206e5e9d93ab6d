import type { EChartsCoreOption } from 'echarts/core'
import { sheet } from './svg-plots.ts'

/** Of a plot with lines, in pixels. */
export const lineSize = { width: 760, height: 400 }

/** Okabe and Ito's colours that stand out on white paper; dashes tell the curves of one colour apart. */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#000000', '#e69f00']
const dashes = ['solid', 'dashed'] as const

export type Points = readonly (readonly [x: number, y: number])[]

/** A curve; its place decides its colour. */
export function line(place: number, name: string, data: Points) {
  const color = colours[place % colours.length]
  const type = dashes[Math.floor(place / colours.length) % dashes.length]
  return {
    type: 'line',
    name,
    data,
    symbol: 'none',
    lineStyle: { color, type, width: 2 },
    itemStyle: { color },
  }
}

/** Title, and the legend to the right. */
export const frame = (title: string): EChartsCoreOption => ({
  ...sheet(title, 58),
  legend: {
    type: 'plain',
    orient: 'vertical',
    align: 'left',
    left: lineSize.width - 190,
    top: 44,
    itemWidth: 32,
    itemStyle: { opacity: 0 },
    textStyle: { color: '#111', width: 145, overflow: 'truncate' },
  },
  grid: { left: 64, right: 200, top: 48, bottom: 52, containLabel: false },
})

export const axis = (name: string, dimension: 'x' | 'y') => ({
  type: 'value',
  name,
  nameLocation: 'middle',
  nameGap: dimension === 'x' ? 30 : 44,
  nameTextStyle: { color: '#111' },
  axisLabel: { color: '#333' },
  axisLine: { show: true, lineStyle: { color: '#555' } },
  splitLine: { lineStyle: { color: '#ddd' } },
})
