import { drawSvg, sheet } from '../../src/core/svg-plots.ts'
import type { SoakSample } from './report.ts'

const megabyte = 1_048_576

/** Memory, open files and lag over the minutes, as SVG. */
export async function soakPicture(samples: readonly SoakSample[]): Promise<string> {
  const line = (
    name: string,
    grid: number,
    color: string,
    valueOf: (sample: SoakSample) => number,
  ): Record<string, unknown> => ({
    name,
    type: 'line',
    showSymbol: false,
    xAxisIndex: grid,
    yAxisIndex: grid,
    lineStyle: { width: 1.5 },
    color,
    data: samples.map((sample) => [sample.seconds / 60, valueOf(sample)]),
  })
  const places = [
    { top: 70, height: 170, name: 'MB resident' },
    { top: 280, height: 110, name: 'open files' },
    { top: 440, height: 110, name: 'lag, messages' },
  ]
  const option = {
    ...sheet('One member under load, with rebalances and reloads', 66),
    legend: { top: 32, left: 66 },
    grid: places.map(({ top, height }) => ({ left: 70, right: 30, top, height })),
    xAxis: places.map((_place, gridIndex) => ({
      type: 'value',
      max: 'dataMax',
      gridIndex,
      ...(gridIndex === places.length - 1 ? { name: 'minutes', nameLocation: 'middle', nameGap: 28 } : {}),
    })),
    yAxis: places.map(({ name }, gridIndex) => ({
      type: 'value',
      gridIndex,
      name,
      nameLocation: 'middle',
      nameGap: 50,
    })),
    series: [
      line('main process', 0, '#0072b2', ({ mainBytes }) => mainBytes / megabyte),
      line('inference processes', 0, '#d55e00', ({ childBytes }) => childBytes / megabyte),
      line('open files', 1, '#009e73', ({ descriptors }) => descriptors),
      line('lag', 2, '#000000', ({ lag }) => lag),
    ],
  }
  const [svg = ''] = await drawSvg([{ option, width: 760, height: 610 }])
  return svg
}
