import { headParameters } from '../encoders/weights.ts'
import { type Matrix, matrix } from '../evaluation/matrix.ts'
import { targetsOf } from './dataset.ts'
import { type Embedded, embedTexts } from './embed.ts'
import { type FittedHead, fitHead } from './fit-head.ts'
import { sizeOf } from './flat-parameters.ts'
import { defaultHyperparameters } from './hyperparameters.ts'
import { weightsWithHead } from './model-files.ts'
import { type TextPart, type Trained, type TrainingRun, joinParts, withChanges } from './training-run.ts'

/** A head on the frozen encoder: texts are encoded once, then the head is trained on their vectors. */
export async function trainHead(run: TrainingRun): Promise<Trained> {
  const { embedded, head, hyperparameters } = await fitHeadOf(run)
  try {
    const { seed, ...numbers } = hyperparameters
    return {
      weights: weightsWithHead(run.files.weights, run.config, head.parameters),
      devLogits: head.devLogits,
      testLogits: await logitsOf(head, embedded.of('test'), run.config.labels.length),
      goldenLogits: await head.logitsOf(embedded.of('golden')),
      hyperparameters: { ...numbers },
      seed,
      history: head.history,
      bestEpoch: head.bestEpoch,
      steps: head.steps,
      trainableParameters: [...headParameters(run.config).values()].reduce(
        (sum, shape) => sum + sizeOf(shape),
        0,
      ),
      tokens: embedded.tokens,
      peakMemoryBytes: Math.max(embedded.peakMemoryBytes, head.peakMemoryBytes),
      discardCheckpoint: () => Promise.resolve(),
    }
  } finally {
    await head.close()
  }
}

/** Only the head's parameters, for a training of everything to start from, and what they cost. */
export async function trainHeadFirst(
  run: TrainingRun,
): Promise<Pick<Trained, 'peakMemoryBytes'> & { parameters: Map<string, Float32Array> }> {
  // The head's own defaults: the rates and epochs asked for are those of the whole training.
  const seed = run.changes.seed
  const changes = seed === undefined ? {} : { seed }
  const { embedded, head } = await fitHeadOf({ ...run, changes })
  await head.close()
  return {
    parameters: new Map(Object.entries(head.parameters).map(([name, { values }]) => [name, values])),
    peakMemoryBytes: Math.max(embedded.peakMemoryBytes, head.peakMemoryBytes),
  }
}

async function fitHeadOf(run: TrainingRun) {
  const { config, prepared, strategy, changes, onProgress, signal } = run
  const hyperparameters = withChanges(defaultHyperparameters(strategy.name), changes)
  const embedded = await embedParts(run)
  const rowsOf = (part: 'train' | 'dev') => ({
    embeddings: embedded.of(part),
    targets: part === 'train' ? run.trainTargets : targetsOf(prepared.split.dev),
  })
  const head = await fitHead(config, rowsOf('train'), rowsOf('dev'), hyperparameters, {
    onEpoch: ({ epoch, trainLoss, devLoss }, epochs) => {
      const detail = `loss ${trainLoss.toFixed(4)}, dev ${devLoss.toFixed(4)}`
      onProgress({ phase: 'train', done: epoch, total: epochs, detail })
    },
    ...(signal === undefined ? {} : { signal }),
  })
  return { embedded, head, hyperparameters }
}

type EmbeddedParts = Omit<Embedded, 'embeddings'> & {
  readonly of: (part: TextPart) => Matrix
  /** Of the data's parts, behind each other. */
  readonly given: Matrix
}

/** Embeddings of every part, encoded in one go so that batches are full, and that a second call finds all in the cache. */
export async function embedParts(run: TrainingRun): Promise<EmbeddedParts> {
  const { prepared, encoder, files, maxTokens, onProgress, signal } = run
  const { texts, rangeOf } = joinParts(prepared)
  const source = { ...encoder, hiddenSize: files.config.hiddenSize, maxTokens }
  const { embeddings, tokens, peakMemoryBytes } = await embedTexts(source, texts, {
    cacheFolder: run.cacheFolder,
    runner: run.runner,
    onProgress: (done, total) => {
      onProgress({ phase: 'encode', done, total })
    },
    ...(signal === undefined ? {} : { signal }),
  })
  const { columns, values } = embeddings
  const of = (part: TextPart): Matrix => {
    const [start, end] = rangeOf(part)
    return { rows: end - start, columns, values: values.subarray(start * columns, end * columns) }
  }
  const [rows] = rangeOf('golden')
  const given = { rows, columns, values: values.subarray(0, rows * columns) }
  return { of, given, tokens, peakMemoryBytes }
}

const logitsOf = async (head: FittedHead, embeddings: Matrix, labels: number): Promise<Matrix> =>
  embeddings.rows === 0 ? matrix(0, labels, new Float32Array(0)) : head.logitsOf(embeddings)
