import type { ModelConfig } from '../encoders/config.ts'
import type { Matrix } from '../evaluation/matrix.ts'
import type { EncoderFolder } from '../models/folder.ts'
import type { TextRunnerOptions } from '../models/text-runner.ts'
import type { Dataset } from './dataset.ts'
import type { EncoderHyperparameters } from './encoder-hyperparameters.ts'
import type { EpochLoss, HeadHyperparameters } from './fit-head.ts'
import { goldenTexts } from '../models/golden.ts'
import type { EncoderFiles } from './model-files.ts'
import type { Prepared } from './prepare.ts'
import type { OnTrainingProgress } from './progress.ts'
import type { Strategy, StrategyName } from './strategies.ts'
import type { Teaching } from './teachers.ts'

/** What differs from a strategy's own defaults; names that the strategy does not have are left out. */
export type HyperparameterChanges = Partial<HeadHyperparameters & EncoderHyperparameters>

/** Everything that a strategy trains with. */
export interface TrainingRun {
  readonly strategy: Strategy & { readonly name: StrategyName }
  readonly changes: HyperparameterChanges
  readonly prepared: Prepared
  /** What the training part's rows are to give, [rows, labels]: their own targets, or what teachers make of them. */
  readonly trainTargets: Matrix
  /** The teachers whose scores are in `trainTargets`. */
  readonly taughtBy?: Teaching
  readonly encoder: EncoderFolder
  readonly files: EncoderFiles
  /** Of the model that comes out. */
  readonly config: ModelConfig
  readonly maxTokens: number
  readonly cacheFolder: string
  readonly runner: TextRunnerOptions
  readonly onProgress: OnTrainingProgress
  readonly onWarning: (message: string) => void
  readonly signal?: AbortSignal
}

/** What a strategy has trained. */
export interface Trained {
  /** model.safetensors. */
  readonly weights: Uint8Array
  readonly devLogits: Matrix
  /** Of the test part; without rows where there is none. */
  readonly testLogits: Matrix
  readonly goldenLogits: Matrix
  readonly hyperparameters: Readonly<Record<string, number | string | boolean>>
  readonly seed: number
  readonly history: readonly EpochLoss[]
  readonly bestEpoch: number
  readonly steps: number
  readonly trainableParameters: number
  /** Real tokens that went through the encoder. */
  readonly tokens: number
  /** Seconds of the optimiser steps that the tokens went through; undefined where the encoder was frozen. */
  readonly stepSeconds?: number
  /** Of the training process. */
  readonly peakMemoryBytes: number
  /** Called once the version is written. */
  readonly discardCheckpoint: () => Promise<void>
}

/** Defaults with the changes that they know. */
export function withChanges<T extends object>(defaults: T, changes: HyperparameterChanges): T {
  const known = Object.entries(changes).filter(
    ([name, value]) => value !== undefined && Object.hasOwn(defaults, name),
  )
  return { ...defaults, ...Object.fromEntries(known) }
}

export const dataParts = ['train', 'dev', 'test'] as const
export type TextPart = (typeof dataParts)[number] | 'golden'
const textParts: readonly TextPart[] = [...dataParts, 'golden']

/** The texts of every part behind each other, and how to take a part out of a list that is as long. */
export function joinParts({ split }: Prepared): {
  readonly texts: readonly string[]
  readonly rangeOf: (part: TextPart) => readonly [start: number, end: number]
} {
  const textsOf = ({ rows }: Dataset): readonly string[] => rows.map(({ text }) => text)
  const texts = {
    train: textsOf(split.train),
    dev: textsOf(split.dev),
    test: textsOf(split.test),
    golden: goldenTexts,
  }
  return {
    texts: textParts.flatMap((part) => texts[part]),
    rangeOf: (part) => {
      const before = textParts.slice(0, textParts.indexOf(part))
      const start = before.reduce((sum, other) => sum + texts[other].length, 0)
      return [start, start + texts[part].length]
    },
  }
}
