import type { Plot } from './svg-plots.ts'

/** A whole page without scripts, fonts or links. */
export const htmlPage = (title: string, sections: readonly string[], head = ''): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
${head}</head>
<body>
${sections.join('\n')}
</body>
</html>
`

/** A plot with its words for who cannot see it. */
export const figure = ({ svg, alternative, note }: Plot): string =>
  `<figure><div role="img" aria-label="${escapeHtml(alternative)}">${svg}</div>${note === undefined ? '' : `<figcaption>${escapeHtml(note)}</figcaption>`}</figure>`

export function htmlTable(
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const line = (cells: readonly (string | number)[], tag: 'th' | 'td'): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(String(cell))}</${tag}>`).join('')}</tr>`
  const head = header.some((title) => title !== '') ? `<thead>${line(header, 'th')}</thead>` : ''
  return `<table>${head}<tbody>${rows.map((row) => line(row, 'td')).join('')}</tbody></table>`
}

export const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

const style = `
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
td { overflow-wrap: break-word } td:first-child { min-width: 8rem; overflow-wrap: anywhere }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); font-variant-numeric: tabular-nums }
figure { margin: 1rem 0; break-inside: avoid } figure svg { max-width: 100%; height: auto }
.good { color: #1a7f37 } .bad { color: #cf222e }
`
