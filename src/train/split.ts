import { sha256 } from '../core/digest.ts'
import { LabelstreamError } from '../core/errors.ts'
import { type Dataset, type Row, positivesOf } from './dataset.ts'

export interface SplitFractions {
  readonly dev: number
  readonly test: number
}

export interface Split {
  readonly train: Dataset
  readonly dev: Dataset
  readonly test: Dataset
}

/**
 * Parts by the hash of each row's id: a row keeps its part while the data grows around it. Rows with the same
 * normalised text stay together, in the part of the smallest id among them.
 * Throws DATA_INVALID when nothing is left to train on or to choose thresholds with.
 */
export function splitByHash({ labels, rows }: Dataset, { dev, test }: SplitFractions): Split {
  const leaders = new Map<string, string>()
  for (const { id, text } of rows) {
    const normal = normalText(text)
    const leader = leaders.get(normal)
    if (leader === undefined || id < leader) leaders.set(normal, id)
  }
  const parts: { readonly [Part in keyof Split]: Row[] } = { train: [], dev: [], test: [] }
  for (const row of rows) {
    const place = unitHash(leaders.get(normalText(row.text)) ?? row.id)
    parts[place < test ? 'test' : place < test + dev ? 'dev' : 'train'].push(row)
  }
  for (const part of ['train', 'dev'] as const) {
    if (parts[part].length === 0) {
      throw new LabelstreamError(
        'DATA_INVALID',
        `${rows.length} rows are too few: none falls into the ${part} part`,
      )
    }
  }
  return {
    train: { labels, rows: parts.train },
    dev: { labels, rows: parts.dev },
    test: { labels, rows: parts.test },
  }
}

/** Rows to train on without those whose normalised text is also in `other`. */
export function withoutTextsOf(train: Dataset, other: Dataset): Dataset {
  const texts = new Set(other.rows.map(({ text }) => normalText(text)))
  return { labels: train.labels, rows: train.rows.filter(({ text }) => !texts.has(normalText(text))) }
}

/** What is odd about the parts, a line each: labels without positives or with few. */
export function splitWarnings(split: Split): string[] {
  return (['train', 'dev'] as const).flatMap((part) => {
    const positives = positivesOf(split[part])
    return split[part].labels
      .filter((_label, place) => (positives[place] ?? 0) === 0)
      .map((label) => `label ${label} has no positive in the ${part} part`)
  })
}

/** Text without case, punctuation and spacing: what makes two rows near-duplicates. */
export const normalText = (text: string): string =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/[^\p{Letter}\p{Number}]+/gu, ' ')
    .trim()

/** 48 bits of a SHA-256 as a number in [0, 1). */
const unitHash = (id: string): number => Number.parseInt(sha256(id).slice(0, 12), 16) / 2 ** 48
