import type { EChartsCoreOption } from 'echarts/core'

/** A plot before it is drawn; sizes in pixels. */
export interface UndrawnPlot {
  readonly option: EChartsCoreOption
  readonly width: number
  readonly height: number
}

/** A plot that is drawn. */
export interface Plot {
  readonly svg: string
  /** What the plot shows, in words. */
  readonly alternative: string
  /** What it leaves out. */
  readonly note?: string
}

/** Each plot as SVG without scripts or links. Lines and heat maps are known. */
export async function drawSvg(plots: readonly UndrawnPlot[]): Promise<string[]> {
  // loaded here, so that only who draws pays for it
  const [{ init, use }, { HeatmapChart, LineChart }, components, { SVGRenderer }] = await Promise.all([
    import('echarts/core'),
    import('echarts/charts'),
    import('echarts/components'),
    import('echarts/renderers'),
  ])
  const { GridComponent, LegendPlainComponent, MarkLineComponent, TitleComponent } = components
  use([LineChart, HeatmapChart, GridComponent, LegendPlainComponent, MarkLineComponent, TitleComponent])
  use([components.VisualMapContinuousComponent, SVGRenderer])
  return plots.map(({ option, width, height }) => {
    const chart = init(null, null, { renderer: 'svg', ssr: true, width, height })
    chart.setOption(option)
    const svg = chart.renderToSVGString()
    chart.dispose()
    return svg
  })
}

/** White behind, so that it reads on a dark page and on paper alike. */
export const sheet = (title: string, left: number): EChartsCoreOption => ({
  animation: false,
  silent: true,
  backgroundColor: '#fff',
  title: { text: title, left, top: 8, textStyle: { fontSize: 15, color: '#111' } },
})
