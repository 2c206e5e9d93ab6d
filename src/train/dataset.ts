import { sha256 } from '../core/digest.ts'
import { LabelstreamError } from '../core/errors.ts'
import { type Matrix, matrix } from '../evaluation/matrix.ts'
import type { LabeledText } from '../formats/labeled-text.ts'
import type { DataSource } from '../models/data-manifest.ts'

const maxLabels = 10_000

/** One text with its targets in label order: 0..1, NaN where unknown. */
export interface Row {
  readonly id: string
  readonly text: string
  readonly targets: Float32Array
}

export interface Dataset {
  readonly labels: readonly string[]
  readonly rows: readonly Row[]
}

/** Labelled texts and where they came from: a file's name and digest, or a topic and its offset ranges. */
export interface LabeledTexts {
  readonly source: string
  readonly texts: readonly LabeledText[]
  /** What the very same texts can be read from again. */
  readonly origin?: DataSource
}

/**
 * Labelled texts as rows over one list of labels: the given one, else the names in order of first appearance.
 * Throws DATA_INVALID for no rows, no or too many labels, or a label outside of the given ones.
 */
export function datasetOf({ source, texts }: LabeledTexts, labels = labelsOf(texts)): Dataset {
  const places = new Map(labels.map((label, place) => [label, place]))
  if (texts.length === 0) throw new LabelstreamError('DATA_INVALID', `${source} has no rows`)
  if (labels.length === 0) throw new LabelstreamError('DATA_INVALID', `${source} names no label`)
  if (labels.length > maxLabels) {
    throw new LabelstreamError(
      'DATA_INVALID',
      `${source} has ${labels.length} labels, the limit is ${maxLabels}`,
    )
  }
  const rows = texts.map(({ id, text, labels: given, absent }): Row => {
    const targets = new Float32Array(labels.length).fill(absent === 'unknown' ? NaN : 0)
    for (const [label, value] of given) {
      const place = places.get(label)
      if (place === undefined) {
        throw new LabelstreamError(
          'DATA_INVALID',
          `${source}, row ${id}: ${JSON.stringify(label)} is none of the ${labels.length} labels`,
        )
      }
      targets[place] = value ?? NaN
    }
    return { id, text, targets }
  })
  return { labels, rows }
}

/** The names in order of first appearance. */
export function labelsOf(texts: readonly LabeledText[]): string[] {
  const labels = new Set<string>()
  for (const text of texts) for (const label of text.labels.keys()) labels.add(label)
  return [...labels]
}

/** One row an id: of several, the last given stays, in the place of the first. */
export function latestById(texts: readonly LabeledText[]): LabeledText[] {
  return [...new Map(texts.map((text) => [text.id, text])).values()]
}

/** Targets as a matrix `[rows, labels]`, NaN where unknown. */
export function targetsOf({ labels, rows }: Dataset): Matrix {
  const values = new Float32Array(rows.length * labels.length)
  rows.forEach(({ targets }, row) => {
    values.set(targets, row * labels.length)
  })
  return matrix(rows.length, labels.length, values)
}

/** SHA-256 over the rows in canonical form, one JSON line each: the same data gives the same digest. */
export function datasetDigest({ labels, rows }: Dataset): string {
  const lines = rows.map(({ id, text, targets }) =>
    JSON.stringify([id, text, Array.from(targets, (target) => (Number.isNaN(target) ? null : target))]),
  )
  return sha256([JSON.stringify(labels), ...lines].join('\n'))
}

/** Positives of each label: the sum of known targets, so that soft ones count in part. */
export function positivesOf({ labels, rows }: Dataset): Float64Array {
  const sums = new Float64Array(labels.length)
  for (const { targets } of rows) {
    targets.forEach((target, place) => {
      if (!Number.isNaN(target)) sums[place] = (sums[place] ?? 0) + target
    })
  }
  return sums
}
