import { LabelstreamError } from '../core/errors.ts'
import { memberConfig, modelParameters } from '../encoders/model.ts'
import { memberPrefix } from '../encoders/weights.ts'
import { type Matrix, matrix } from '../evaluation/matrix.ts'
import { type Tensor, writeSafetensors } from '../formats/safetensors.ts'
import type { TokenRows } from './encoder-batches.ts'
import type { EncoderEpoch, FitResult } from './fit-messages.ts'
import { sizeOf } from './flat-parameters.ts'
import { tensorsOfWhole } from './model-files.ts'
import { type RunRows, fitOne, hyperparametersFor, tokenRows } from './train-encoder.ts'
import type { Trained, TrainingRun } from './training-run.ts'

/** Weights in fp32 that one graph can hold. */
const maxModelBytes = 2_000_000_000

/**
 * One whole binary model a label, each trained by itself and all of them stored and served as one. Costs as many
 * times as much as there are labels; here for comparison, and for labels that must not touch each other.
 * Throws SETTING_INVALID when they would be too large to serve.
 */
export async function trainPerLabel(run: TrainingRun): Promise<Trained> {
  const { config, prepared, changes, files } = run
  checkSize(run)
  const hyperparameters = hyperparametersFor(prepared.split.train.rows.length, changes)
  const rows = await tokenRows(run)
  const tensors = new Map<string, Tensor>()
  const members: Omit<FitResult, 'parameters'>[] = []
  const discards: (() => Promise<void>)[] = []
  for (const [index, label] of config.labels.entries()) {
    const member = memberConfig(config, label)
    const { fitted, discardCheckpoint } = await fitOne(
      withLabel(run, index),
      member,
      columnOf(rows, index),
      hyperparameters,
    )
    const { parameters, ...rest } = fitted
    for (const [name, tensor] of tensorsOfWhole(files.weights, member, parameters)) {
      tensors.set(`${memberPrefix(index)}${name}`, tensor)
    }
    members.push(rest)
    discards.push(discardCheckpoint)
  }
  const { seed, ...numbers } = hyperparameters
  const sum = (of: (member: Omit<FitResult, 'parameters'>) => number): number =>
    members.reduce((total, member) => total + of(member), 0)
  return {
    weights: writeSafetensors(tensors, { format: 'pt' }),
    devLogits: sideBySide(members.map(({ devLogits }) => devLogits)),
    testLogits: sideBySide(members.map(({ logits }) => logits.get('test') ?? new Float32Array(0))),
    goldenLogits: sideBySide(members.map(({ logits }) => logits.get('golden') ?? new Float32Array(0))),
    hyperparameters: { ...numbers },
    seed,
    history: meanHistory(members.map(({ history }) => history)),
    bestEpoch: Math.round(sum(({ bestEpoch }) => bestEpoch) / members.length),
    steps: sum(({ steps }) => steps),
    trainableParameters: sum(({ trainableParameters }) => trainableParameters),
    tokens: sum(({ tokens }) => tokens),
    stepSeconds: sum(({ seconds }) => seconds),
    peakMemoryBytes: Math.max(...members.map(({ peakMemoryBytes }) => peakMemoryBytes)),
    discardCheckpoint: async () => {
      for (const discard of discards) await discard()
    },
  }
}

function checkSize({ config }: TrainingRun): void {
  const sizes = [...modelParameters(config, 'logits').values()].map(sizeOf)
  const bytes = 4 * sizes.reduce((total, size) => total + size, 0)
  if (bytes <= maxModelBytes) return
  throw new LabelstreamError(
    'SETTING_INVALID',
    `strategy per-label: ${config.labels.length} encoders take ${(bytes / 1e9).toFixed(1)} GB, one model at most 2 GB; take full-linear`,
  )
}

/** Progress says which label it is about. */
const withLabel = (run: TrainingRun, index: number): TrainingRun => ({
  ...run,
  onProgress: ({ detail = '', ...progress }) => {
    run.onProgress({ ...progress, detail: `label ${index + 1} of ${run.config.labels.length}, ${detail}` })
  },
})

function columnOf({ train, dev, scored }: RunRows, column: number): RunRows {
  const only = ({ windows, targets }: TokenRows): TokenRows => ({
    windows,
    targets: matrix(
      targets.rows,
      1,
      Float32Array.from(
        { length: targets.rows },
        (_, row) => targets.values[row * targets.columns + column] ?? NaN,
      ),
    ),
  })
  return { train: only(train), dev: only(dev), scored }
}

function sideBySide(columns: readonly Float32Array[]): Matrix {
  const rows = columns[0]?.length ?? 0
  const values = new Float32Array(rows * columns.length)
  columns.forEach((logits, column) => {
    logits.forEach((logit, row) => {
      values[row * columns.length + column] = logit
    })
  })
  return matrix(rows, columns.length, values)
}

/** Losses by epoch, averaged over the labels that were still in training. */
function meanHistory(histories: readonly (readonly EncoderEpoch[])[]): EncoderEpoch[] {
  const epochs = Math.max(...histories.map(({ length }) => length))
  return Array.from({ length: epochs }, (_, index) => {
    const present = histories.flatMap((history) => history[index] ?? [])
    const meanOf = (of: (row: EncoderEpoch) => number): number =>
      present.reduce((total, row) => total + of(row), 0) / present.length
    return {
      epoch: index + 1,
      trainLoss: meanOf(({ trainLoss }) => trainLoss),
      devLoss: meanOf(({ devLoss }) => devLoss),
      devScore: meanOf(({ devScore }) => devScore),
    }
  })
}
