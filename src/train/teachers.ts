import { LabelstreamError } from '../core/errors.ts'
import { type Matrix, matrix } from '../evaluation/matrix.ts'
import { openModel } from '../models/folder.ts'
import type { TextRunnerOptions } from '../models/text-runner.ts'
import { type Dataset, targetsOf } from './dataset.ts'
import { modelScores } from './model-scores.ts'
import type { OnTrainingProgress } from './progress.ts'

/** As much as the given targets. */
export const defaultTeacherWeight = 0.5

/** Models whose scores are mixed into the targets. */
export interface TeacherOptions {
  /** Names in the models folder, name@version or folders. */
  readonly models: readonly string[]
  /** How far known targets move towards the scores, 0..1; unknown ones become the scores. */
  readonly weight: number
}

/** Who taught, and how much. */
export interface Teaching {
  /** Each as name@version, and its digest. */
  readonly teachers: readonly { readonly name: string; readonly digest: string }[]
  readonly weight: number
}

/** What a training with teachers learns. */
export interface TaughtTargets {
  readonly by: Teaching
  /** [rows, labels] of the training part. */
  readonly targets: Matrix
  readonly warnings: readonly string[]
}

/**
 * The training part's targets moved towards what models that were trained before say of the same texts: given labels
 * are noisy, and a model's scores are what many rows agree on (knowledge distillation, Hinton, Vinyals and Dean 2015,
 * arXiv:1503.02531; with a teacher of the same size, Furlanello et al. 2018, arXiv:1805.04770). Of several teachers the mean counts.
 * Labels that no teacher has stay as they are. Throws MODEL_*, DATA_INVALID where a teacher shares no label, INTERRUPTED, and what
 * inference throws.
 */
export async function taughtTargets(
  train: Dataset,
  { models, weight }: TeacherOptions,
  context: {
    readonly modelsFolder: string
    readonly runner: TextRunnerOptions
    /** Of the rows of all parts. */
    readonly dataDigest: string
    readonly onProgress: OnTrainingProgress
    readonly signal?: AbortSignal
  },
): Promise<TaughtTargets> {
  const { labels, rows } = train
  const sums = new Float64Array(rows.length * labels.length)
  const counts = new Float64Array(labels.length)
  const teachers: { name: string; digest: string }[] = []
  const warnings: string[] = []
  for (const [index, reference] of models.entries()) {
    const teacher = await openModel(reference, context.modelsFolder)
    const columns = labels.map((label) => teacher.labels.indexOf(label))
    if (columns.every((column) => column < 0)) {
      throw new LabelstreamError(
        'DATA_INVALID',
        `--teacher ${reference}: it has none of the labels of the data; its own are ${teacher.labels.slice(0, 5).join(', ')}`,
      )
    }
    const texts = rows.map(({ text }) => text)
    const scores = await modelScores(teacher, texts, context.runner, {
      onProgress: (done, total) => {
        context.onProgress({ phase: 'teach', done: index * total + done, total: models.length * total })
      },
      signal: context.signal,
    })
    columns.forEach((from, column) => {
      if (from < 0) return
      counts[column] = (counts[column] ?? 0) + 1
      for (let row = 0; row < rows.length; row++) {
        const cell = row * labels.length + column
        sums[cell] = (sums[cell] ?? 0) + (scores.values[row * scores.columns + from] ?? 0)
      }
    })
    const { name, version, digest, manifest } = teacher
    teachers.push({ name: `${name}@${version}`, digest })
    if (manifest.data?.digest !== context.dataDigest) {
      warnings.push(
        `the teacher ${name}@${version} was trained on other rows: where rows of dev or test are among them, their figures flatter`,
      )
    }
  }
  const given = targetsOf(train)
  const values = given.values.map((target, cell) => {
    const count = counts[cell % labels.length] ?? 0
    if (count === 0) return target
    const score = (sums[cell] ?? 0) / count
    return Number.isNaN(target) ? score : (1 - weight) * target + weight * score
  })
  return { by: { teachers, weight }, targets: matrix(rows.length, labels.length, values), warnings }
}

/** For the version's manifest, card and page. */
export const teachingDetails = ({ teachers, weight }: Teaching): Record<string, string | number> => ({
  teachers: teachers.map(({ name, digest }) => `${name} (${digest})`).join(', '),
  teacherWeight: weight,
})
