import { LabelstreamError } from '../core/errors.ts'
import { flagOf } from '../settings/declare.ts'
import type { OptionValues } from './command.ts'

/** Names come from foreign models, too: none of them may move a terminal's cursor or break a line. */
const shown = (cell: string | number | undefined): string =>
  String(cell ?? '').replaceAll(/\p{Cc}/gu, '\ufffd')

/** Columns padded to their widest cell; numbers are right-aligned. */
export function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => shown(row[column]).length)),
  )
  const line = (cells: readonly (string | number)[]): string =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return typeof cell === 'number' ? shown(cell).padStart(width) : shown(cell).padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

/** The two-column table Label / Prediction, highest first, two decimals. */
export function scoreTable(scores: Readonly<Record<string, number>>): string {
  const rows = Object.entries(scores)
    .sort(([, a], [, b]) => b - a)
    .map(([label, score]) => [label, score.toFixed(2)])
  return table(['Label', 'Prediction'], rows)
}

/** The one argument of a command. Throws USAGE when it is missing. */
export function onlyArgument(positional: readonly string[], what: string): string {
  const [first] = positional
  if (first === undefined) throw new LabelstreamError('USAGE', `${what} is missing`)
  return first
}

/** An option's text. Throws USAGE when it is not there. */
export function requiredOption(options: OptionValues, name: string): string {
  const value = options[name]
  if (typeof value === 'string' && value !== '') return value
  throw new LabelstreamError('USAGE', `${flagOf(name)} is missing`)
}

export function optionalOption(options: OptionValues, name: string): string | undefined {
  const value = options[name]
  return typeof value === 'string' ? value : undefined
}

/** An option's number within bounds. Throws USAGE naming the option and what it may be. */
export function numberOption(
  options: OptionValues,
  name: string,
  limits: { min: number; max: number; integer?: boolean },
): number | undefined {
  const text = optionalOption(options, name)
  if (text === undefined) return undefined
  const value = Number(text)
  const fits = text.trim() !== '' && value >= limits.min && value <= limits.max
  if (fits && (limits.integer !== true || Number.isInteger(value))) return value
  const kind = limits.integer === true ? 'a whole number' : 'a number'
  throw new LabelstreamError(
    'USAGE',
    `${flagOf(name)}: ${text} is not ${kind} between ${limits.min} and ${limits.max}`,
  )
}
