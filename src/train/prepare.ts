import { LabelstreamError } from '../core/errors.ts'
import type { ClassifierManifest } from '../models/manifest.ts'
import { type Dataset, type LabeledTexts, datasetDigest, datasetOf, labelsOf, latestById } from './dataset.ts'
import { type Split, type SplitByHash, splitByHash, splitWarnings, withoutTextsOf } from './split.ts'
import type { SplitFractions } from './stratify.ts'

export interface PrepareOptions {
  readonly data: LabeledTexts
  /** Rows to choose epochs, calibration and thresholds on; without them a part of `data` is taken. */
  readonly dev?: LabeledTexts
  /** The labels in order; without them the names in order of first appearance. */
  readonly labels?: readonly string[]
  readonly fractions?: SplitFractions
  /** What the rows and their parts must be: those of a data manifest. */
  readonly expected?: ExpectedRows
}

export interface ExpectedRows {
  /** The manifest's file. */
  readonly path: string
  readonly digest: string
}

export interface Prepared {
  readonly split: Split
  readonly data: NonNullable<ClassifierManifest['data']>
  readonly warnings: readonly string[]
}

/** Thresholds are chosen on dev, so it gets more than test, which only reports. */
const defaultFractions: SplitFractions = { dev: 0.15, test: 0.1 }

/**
 * The rows of one training in their parts, and what the manifest says about them: source and a digest that tells
 * whether a later run had the same rows. Throws DATA_INVALID, or DATA_GONE when they are not those that are expected.
 */
export function prepare(options: PrepareOptions): Prepared {
  const { data, dev, labels, fractions = defaultFractions, expected } = options
  const texts = latestById(data.texts)
  const names = labels ?? labelsOf(texts)
  const all = datasetOf({ source: data.source, texts }, [...names])
  const split = dev === undefined ? splitByHash(all, fractions) : splitBeside(all, dev)
  const digestRows = [...split.train.rows, ...split.dev.rows, ...split.test.rows]
  const digest = datasetDigest({ labels: names, rows: digestRows })
  if (expected !== undefined && expected.digest !== digest) {
    throw new LabelstreamError(
      'DATA_GONE',
      `${expected.path}: the sources are as they were, but give rows with the digest ${digest}, not ${expected.digest}: another version of this program wrote the manifest, which read or split them in another way`,
    )
  }
  return {
    split,
    data: {
      source: dev === undefined ? data.source : `${data.source}; dev ${dev.source}`,
      digest,
      rows: digestRows.length,
      train: split.train.rows.length,
      dev: split.dev.rows.length,
      test: split.test.rows.length,
      ...sourcesOf(options),
      ...(dev === undefined ? { fractions } : {}),
    },
    warnings: [...split.notes, ...splitWarnings(split)],
  }
}

function sourcesOf({ data, dev }: PrepareOptions): Pick<Prepared['data'], 'sources'> {
  if (data.origin === undefined) return {}
  if (dev === undefined) return { sources: { data: data.origin } }
  return dev.origin === undefined ? {} : { sources: { data: data.origin, dev: dev.origin } }
}

function splitBeside(all: Dataset, devTexts: LabeledTexts): SplitByHash {
  const dev = datasetOf(devTexts, [...all.labels])
  const { train, notes } = withoutTextsOf(all, dev)
  if (train.rows.length === 0) {
    throw new LabelstreamError('DATA_INVALID', `every row to train on is also in ${devTexts.source}`)
  }
  return { train, dev, test: { labels: all.labels, rows: [] }, notes }
}
