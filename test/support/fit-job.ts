import { seededRandom } from '../../src/core/random.ts'
import { headParameters } from '../../src/encoders/weights.ts'
import { matrix } from '../../src/evaluation/matrix.ts'
import type { TokenRows } from '../../src/train/encoder-batches.ts'
import type { FitJob } from '../../src/train/fit-messages.ts'
import {
  type EncoderHyperparameters,
  defaultEncoderHyperparameters,
} from '../../src/train/encoder-hyperparameters.ts'
import { initialHead } from '../../src/train/initial-head.ts'
import { recordedModel } from './training-graph.ts'

/**
 * Rows that a tiny model can learn: a label is on where one of its four tokens stands in the text. Tokens are
 * 1..29, texts 2 to 9 tokens long.
 */
export function learnableRows(count: number, labels: number, seed: number): TokenRows {
  const random = seededRandom(seed)
  const windows = Array.from({ length: count }, () =>
    Int32Array.from({ length: 2 + random.integer(8) }, () => 1 + random.integer(29)),
  )
  const targets = windows.flatMap((window) =>
    Array.from({ length: labels }, (_, label) => (window.some((id) => id % 8 === label) ? 1 : 0)),
  )
  return { windows, targets: matrix(count, labels, Float32Array.from(targets)) }
}

/** A training of the tiny recorded model; takes a second or so. */
export function tinyFitJob(
  checkpointFolder: string,
  changes: Partial<FitJob> & { readonly hyper?: Partial<EncoderHyperparameters> } = {},
): FitJob {
  const { hyper, ...rest } = changes
  const { config, parameters } = recordedModel('mean-linear')
  const train = rest.train ?? learnableRows(60, 3, 1)
  const hyperparameters = {
    ...defaultEncoderHyperparameters,
    epochs: 3,
    batch: 8,
    learningRate: 5e-3,
    headLearningRate: 1e-2,
    tokenDropout: 0.1,
    ...hyper,
  }
  return {
    config,
    parameters: new Map([...parameters, ...initialHead(headParameters(config), train.targets, 1)]),
    hyperparameters,
    train,
    dev: learnableRows(20, 3, 2),
    scored: new Map([['golden', [Int32Array.of(1, 2, 3)]]]),
    halves: true,
    checkpointFolder,
    checkpointEverySeconds: 0,
    providers: ['cpu'],
    threads: 1,
    ...rest,
  }
}
