import type { Matrix } from '../evaluation/matrix.ts'
import { openEncoder } from '../models/folder.ts'
import type { TextRunnerOptions } from '../models/text-runner.ts'
import { type Dataset, type LabeledTexts, datasetOf, latestById } from './dataset.ts'
import { embedTexts } from './embed.ts'
import {
  type LabelNoiseReport,
  type LabelNoiseSummary,
  findLabelNoise,
  writeLabelNoise,
} from './label-noise.ts'
import { type EncoderFiles, readEncoder } from './model-files.ts'
import type { OnTrainingProgress } from './progress.ts'
import { embedParts } from './train-head.ts'
import { type TrainingRun, dataParts } from './training-run.ts'

export interface CheckLabelsOptions {
  /** Encoder that the texts are seen through: a name in the models folder, name@version or a folder. */
  readonly base: string
  readonly modelsFolder: string
  readonly cacheFolder: string
  /** Longest window in tokens; 256, or the encoder's own limit where that is lower. */
  readonly maxTokens?: number
  readonly seed?: number
  /** JSONL file for what is found. */
  readonly file: string
  readonly runner: TextRunnerOptions
  readonly signal?: AbortSignal
}

export interface CheckedRows {
  /** The rows that the report counts. */
  readonly dataset: Dataset
  readonly report: LabelNoiseReport
}

/**
 * Looks for wrong labels in all the data, and writes them to a file. Throws DATA_INVALID, MODEL_*, FILE_UNREADABLE,
 * TRAINING_FAILED, INTERRUPTED and what inference throws.
 */
export async function checkLabels(
  data: LabeledTexts,
  { base, modelsFolder, cacheFolder, maxTokens = 256, seed = 1, file, runner, signal }: CheckLabelsOptions,
  onProgress: OnTrainingProgress = () => undefined,
): Promise<CheckedRows & { readonly summary: LabelNoiseSummary }> {
  const dataset = datasetOf({ source: data.source, texts: latestById(data.texts) })
  const encoder = await openEncoder(base, modelsFolder)
  const files = await readEncoder(encoder)
  const { hiddenSize, maxPositions } = files.config
  const { embeddings } = await embedTexts(
    { ...encoder, hiddenSize, maxTokens: Math.min(maxTokens, maxPositions) },
    dataset.rows.map(({ text }) => text),
    {
      cacheFolder,
      // As in training: what is found is not to depend on rounding.
      runner: { ...runner, precision: 'fp32' },
      onProgress: (done, total) => {
        onProgress({ phase: 'encode', done, total })
      },
      ...(signal === undefined ? {} : { signal }),
    },
  )
  const report = await find(dataset, embeddings, files, { seed, onProgress, signal })
  return { dataset, report, summary: await writeLabelNoise(file, dataset, report) }
}

/** The same in the rows of a training, all parts of them, through the encoder that it started from. */
export async function findInTraining(run: TrainingRun, seed: number): Promise<CheckedRows> {
  const { prepared, files, onProgress, signal } = run
  const { split } = prepared
  const dataset = { labels: split.train.labels, rows: dataParts.flatMap((part) => split[part].rows) }
  const { given } = await embedParts(run)
  return { dataset, report: await find(dataset, given, files, { seed, onProgress, signal }) }
}

function find(
  dataset: Dataset,
  embeddings: Matrix,
  files: EncoderFiles,
  {
    seed,
    onProgress,
    signal,
  }: { seed: number; onProgress: OnTrainingProgress; signal: AbortSignal | undefined },
): Promise<LabelNoiseReport> {
  return findLabelNoise(dataset, embeddings, files, {
    seed,
    onFold: (done, total) => {
      onProgress({ phase: 'labels', done, total })
    },
    ...(signal === undefined ? {} : { signal }),
  })
}
