import { openModel } from '../../src/models/folder.ts'
import { defaultTextRunner } from '../../src/models/text-runner.ts'
import { Serving } from '../../src/stream/serving.ts'

/** What a model says of one text. */
export interface ModelAnswer {
  readonly version: string
  readonly scores: Readonly<Record<string, number>>
  /** Decided, highest score first. */
  readonly labels: readonly string[]
}

/** A model version and what it says of each text, by the number of the text. */
export interface ModelReference {
  readonly folder: string
  readonly version: string
  readonly digest: string
  readonly answers: readonly ModelAnswer[]
}

export async function modelReference(folder: string, texts: readonly string[]): Promise<ModelReference> {
  const model = await openModel(folder, '')
  const { version, digest, labels } = model
  const serving = await Serving.start(model, { ...defaultTextRunner, threads: 1, maxTokens: 0 })
  try {
    const answers = (await serving.score(texts)).map(({ scores, decided }) => ({
      version,
      scores: Object.fromEntries(labels.map((label, column) => [label, scores[column] ?? NaN])),
      labels: decided,
    }))
    return { folder, version, digest, answers }
  } finally {
    await serving.close()
  }
}
