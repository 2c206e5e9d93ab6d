import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { readModelConfig } from '../encoders/config.ts'
import {
  type Disagreement,
  type LabelNoise,
  confidentDisagreements,
} from '../evaluation/confident-learning.ts'
import { type Matrix, isPositive } from '../evaluation/matrix.ts'
import { type Dataset, targetsOf } from './dataset.ts'
import { defaultHyperparameters } from './hyperparameters.ts'
import { type EncoderFiles, trainedConfigJson } from './model-files.ts'
import { foldsOf, outOfFold } from './out-of-fold.ts'
import { writeJsonLines } from './write-lines.ts'

/** Given labels that look wrong. */
export interface LabelNoiseReport {
  readonly rows: number
  readonly folds: number
  readonly labels: readonly (LabelNoise & { readonly label: string })[]
  /** Strongest first. */
  readonly disagreements: readonly (Disagreement & { readonly id: string; readonly label: string })[]
}

export interface LabelNoiseOptions {
  readonly seed?: number
  readonly onFold?: (done: number, folds: number) => void
  readonly signal?: AbortSignal
}

const maxFolds = 5

/**
 * Looks for wrong labels: a linear head on the frozen encoder's vectors `[rows, hidden]` says of each fold what it
 * learned from the others, and confident learning says where that contradicts what was given.
 * The same rows and seed give the same report on one machine. Throws TRAINING_FAILED, INTERRUPTED.
 */
export async function findLabelNoise(
  dataset: Dataset,
  embeddings: Matrix,
  encoder: EncoderFiles,
  { seed = 1, onFold, signal }: LabelNoiseOptions = {},
): Promise<LabelNoiseReport> {
  const { labels, rows } = dataset
  const folds = foldsOf(rows, maxFolds, seed)
  if (new Set(folds).size < 2) {
    throw new LabelstreamError(
      'DATA_INVALID',
      `${rows.length} rows with one text are too few to check labels`,
    )
  }
  const config = readModelConfig(trainedConfigJson(encoder.configJson, { labels, headHiddenSizes: [] }))
  const targets = targetsOf(dataset)
  const predicted = await outOfFold(
    config,
    { embeddings, targets },
    folds,
    { ...defaultHyperparameters('frozen-linear'), ...quickly(rows.length), seed },
    { ...(onFold === undefined ? {} : { onFold }), ...(signal === undefined ? {} : { signal }) },
  )
  const findings = confidentDisagreements(predicted, targets)
  return {
    rows: rows.length,
    folds: new Set(folds).size,
    labels: findings.labels.map((noise, column) => ({ label: labels[column] ?? '', ...noise })),
    disagreements: findings.disagreements.map((cell) => ({
      ...cell,
      id: rows[cell.row]?.id ?? '',
      label: labels[cell.column] ?? '',
    })),
  }
}

/** A head that is only asked need not be the best one: larger batches and less patience find the same wrong labels. */
const quickly = (rows: number) => ({
  epochs: 30,
  patience: 3,
  learningRate: 0.01,
  batch: Math.min(256, Math.max(32, Math.round(rows / 50))),
})

/** The report without its rows, for a command's JSON. */
export interface LabelNoiseSummary extends Pick<LabelNoiseReport, 'rows' | 'folds' | 'labels'> {
  readonly disagreements: number
  /** Where they are. */
  readonly file: string
}

/**
 * Writes the disagreements, strongest first, one document a given label. They hold the texts, for the owner of the
 * data: the file is readable for its owner alone, and does not belong into a model folder. Throws FILE_UNREADABLE.
 */
export async function writeLabelNoise(
  file: string,
  { rows }: Dataset,
  { disagreements, ...rest }: LabelNoiseReport,
): Promise<LabelNoiseSummary> {
  await mkdir(dirname(file), { recursive: true }).catch((error: unknown) => {
    throw new LabelstreamError('FILE_UNREADABLE', `${file} cannot be written: ${messageOf(error)}`)
  })
  const documents = disagreements.map(({ row, id, label, given, predicted }) => ({
    id,
    label,
    looks: isPositive(given) ? 'wrongly given' : 'missing',
    given: rounded(given),
    predicted: rounded(predicted),
    text: rows[row]?.text ?? '',
  }))
  await writeJsonLines(file, documents, { isPrivate: true })
  return { ...rest, disagreements: disagreements.length, file }
}

const rounded = (value: number): number => Number(value.toFixed(4))

export const noiseHeader: readonly string[] = ['label', 'positives', 'missing', 'wrongly given']

/** One label a row, for people, under `noiseHeader`. */
export const noiseRows = ({
  labels,
}: Pick<LabelNoiseReport, 'labels'>): readonly (readonly (string | number)[])[] =>
  labels.map(({ label, judged, positives, missing, wronglyGiven }) => [
    label,
    positives,
    ...(judged ? [missing, wronglyGiven] : ['too few', 'too few']),
  ])

export const disagreementHeader: readonly string[] = ['row', 'label', 'given', 'predicted']

/** The strongest disagreements, for people, under `disagreementHeader`. */
export const disagreementRows = (
  { disagreements }: LabelNoiseReport,
  most: number,
): readonly (readonly string[])[] =>
  disagreements
    .slice(0, most)
    .map(({ id, label, given, predicted }) => [id, label, String(rounded(given)), predicted.toFixed(3)])
