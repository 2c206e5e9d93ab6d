import { readFile, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { LabelstreamError } from '../core/errors.ts'
import { readModelConfig } from '../encoders/config.ts'
import { modelParameters } from '../encoders/model.ts'
import { resolveWeights } from '../encoders/weights.ts'
import { readSafetensors } from '../formats/safetensors.ts'
import { plainDecision } from './decision.ts'
import { decideAll, scoresByLabel } from './score-matrix.ts'
import { TextRunner, type TextRunnerOptions, defaultTextRunner } from './text-runner.ts'
import { tokenizerFileNames } from './tokenizer-files.ts'
import { type WrittenVersion, writeVersion } from './versions.ts'

export interface ImportOptions {
  readonly name: string
  readonly modelsFolder: string
  /** SPDX name of the model's licence; the folder does not say it. */
  readonly licence: string
  /** Score from which a label is decided; scores are taken as they are, uncalibrated. */
  readonly threshold?: number
  /** Longest window in tokens; the encoder's own limit by default. */
  readonly maxTokens?: number
  /** Texts whose scores are recorded, so that a served model can be checked. */
  readonly goldenTexts: readonly string[]
  readonly runner?: TextRunnerOptions
}

/**
 * Takes a folder that transformers saved (`save_pretrained` of a sequence classifier with safetensors) as a new
 * version. The files are copied as they are.
 * Throws MODEL_UNSUPPORTED for a model that has no labels or another format, MODEL_CORRUPT for tensors that are
 * missing or do not fit, FILE_UNREADABLE.
 */
export async function importModel(folder: string, options: ImportOptions): Promise<WrittenVersion> {
  const source = resolve(folder)
  const files = await readModelFiles(source)
  const config = readModelConfig(parseConfig(files.get('config.json'), source))
  if (config.labels.length === 0) {
    throw new LabelstreamError('MODEL_UNSUPPORTED', `${source} is an encoder without a classifier: it has no labels`)
  }
  if (config.problemType !== undefined && config.problemType !== 'multi_label_classification') {
    throw new LabelstreamError(
      'MODEL_UNSUPPORTED',
      `${source} was trained for ${config.problemType}; its scores are no independent label scores`,
    )
  }
  // Every tensor is there and fits, before anything is written.
  resolveWeights(modelParameters(config, 'logits'), readSafetensors(files.get('model.safetensors') ?? new Uint8Array()))
  const maxTokens = Math.min(options.maxTokens ?? config.maxPositions, config.maxPositions)
  const decision = plainDecision(config.labels, options.threshold)
  const runner = await TextRunner.start(
    { folder: source, fileDigests: {}, maxTokens },
    'logits',
    options.runner ?? defaultTextRunner,
  )
  const { values } = await runner.run(options.goldenTexts).finally(() => runner.close())
  const { scores } = decideAll(decision, values)
  return writeVersion(options.modelsFolder, {
    details: {
      name: options.name,
      licence: options.licence,
      maxTokens,
      strategy: 'imported',
      hyperparameters: {},
      metrics: {},
      golden: options.goldenTexts.map((text, row) => ({ text, scores: scoresByLabel(config.labels, scores, row) })),
    },
    decision,
    files,
    created: new Date(),
  })
}

async function readModelFiles(folder: string): Promise<Map<string, Uint8Array>> {
  const present = await readdir(folder).catch((error: unknown) => {
    throw new LabelstreamError('FILE_UNREADABLE', `${folder} cannot be read`, { cause: error })
  })
  for (const file of ['config.json', 'tokenizer.json', 'model.safetensors']) {
    if (present.includes(file)) continue
    const hint = file === 'model.safetensors' ? ': save it with save_pretrained(…, safe_serialization=True)' : ''
    throw new LabelstreamError('MODEL_UNSUPPORTED', `${folder} has no ${file}${hint}`)
  }
  const wanted = ['config.json', 'model.safetensors', ...tokenizerFileNames]
  const files = new Map<string, Uint8Array>()
  for (const file of wanted.filter((name) => present.includes(name))) {
    files.set(file, await readFile(join(folder, file)))
  }
  return files
}

function parseConfig(bytes: Uint8Array | undefined, folder: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch (error) {
    throw new LabelstreamError('MODEL_CORRUPT', `${folder}/config.json is not valid JSON`, { cause: error })
  }
}
