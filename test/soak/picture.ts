import { init, use } from 'echarts/core'
import { LineChart } from 'echarts/charts'
import { GridComponent, LegendPlainComponent, TitleComponent } from 'echarts/components'
import { SVGRenderer } from 'echarts/renderers'
import type { SoakSample } from './report.ts'

const megabyte = 1_048_576

/** Memory, open files and lag over the minutes, as SVG. */
export function soakPicture(samples: readonly SoakSample[]): string {
  use([LineChart, GridComponent, LegendPlainComponent, TitleComponent, SVGRenderer])
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
    { top: 60, height: 170, name: 'MB resident' },
    { top: 280, height: 110, name: 'open files' },
    { top: 440, height: 110, name: 'lag, messages' },
  ]
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 760, height: 610 })
  chart.setOption({
    animation: false,
    title: {
      text: 'One member under load, with rebalances and reloads',
      left: 'center',
      textStyle: { fontSize: 15 },
    },
    legend: { top: 28 },
    grid: places.map(({ top, height }) => ({ left: 70, right: 30, top, height })),
    xAxis: places.map((_place, gridIndex) => ({
      type: 'value',
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
      line('inference process', 0, '#d55e00', ({ childBytes }) => childBytes / megabyte),
      line('open files', 1, '#009e73', ({ descriptors }) => descriptors),
      line('lag', 2, '#000000', ({ lag }) => lag),
    ],
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}
