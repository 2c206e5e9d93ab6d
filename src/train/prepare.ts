import { LabelstreamError } from '../core/errors.ts'
import type { ClassifierManifest } from '../models/manifest.ts'
import { type Dataset, type LabeledTexts, datasetDigest, datasetOf, labelsOf, latestById } from './dataset.ts'
import { type Split, type SplitFractions, splitByHash, splitWarnings, withoutTextsOf } from './split.ts'

export interface PrepareOptions {
  readonly data: LabeledTexts
  /** Rows to choose epochs, calibration and thresholds on; without them a part of `data` is taken. */
  readonly dev?: LabeledTexts
  /** The labels in order; without them the names in order of first appearance. */
  readonly labels?: readonly string[]
  readonly fractions?: SplitFractions
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
 * whether a later run had the same rows. Throws DATA_INVALID.
 */
export function prepare({ data, dev, labels, fractions = defaultFractions }: PrepareOptions): Prepared {
  const texts = latestById(data.texts)
  const names = labels ?? labelsOf(texts)
  const all = datasetOf({ source: data.source, texts }, [...names])
  const split = dev === undefined ? splitByHash(all, fractions) : splitBeside(all, dev)
  const digestRows = [...split.train.rows, ...split.dev.rows, ...split.test.rows]
  return {
    split,
    data: {
      source: dev === undefined ? data.source : `${data.source}; dev ${dev.source}`,
      digest: datasetDigest({ labels: names, rows: digestRows }),
      rows: digestRows.length,
      train: split.train.rows.length,
      dev: split.dev.rows.length,
      test: split.test.rows.length,
    },
    warnings: splitWarnings(split),
  }
}

function splitBeside(all: Dataset, devTexts: LabeledTexts): Split {
  const dev = datasetOf(devTexts, [...all.labels])
  const train = withoutTextsOf(all, dev)
  if (train.rows.length === 0) {
    throw new LabelstreamError('DATA_INVALID', `every row to train on is also in ${devTexts.source}`)
  }
  return { train, dev, test: { labels: all.labels, rows: [] } }
}
