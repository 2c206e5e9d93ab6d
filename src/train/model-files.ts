import { type ModelConfig, type Pooling, readModelConfig } from '../encoders/config.ts'
import { classNameOf } from '../encoders/families.ts'
import { modelParameters } from '../encoders/model.ts'
import { headParameters, storedName } from '../encoders/weights.ts'
import {
  type Tensor,
  float16Tensor,
  float32Tensor,
  readSafetensors,
  readSafetensorsMetadata,
  writeSafetensors,
} from '../formats/safetensors.ts'
import type { EncoderFolder } from '../models/folder.ts'
import { tokenizerFileNames } from '../models/tokenizer-files.ts'
import { readVerified } from '../models/verify.ts'
import type { FloatArrays } from '../runtime/training-messages.ts'

/** An encoder's files in memory. */
export interface EncoderFiles {
  readonly configJson: Readonly<Record<string, unknown>>
  readonly config: ModelConfig
  readonly weights: Uint8Array
  /** tokenizer.json and what else the tokenizer has, as they are. */
  readonly tokenizerFiles: ReadonlyMap<string, Uint8Array>
}

/** Reads an encoder's files, each compared with its digest. Throws MODEL_CORRUPT, MODEL_UNSUPPORTED, FILE_UNREADABLE. */
export async function readEncoder({ folder, fileDigests }: EncoderFolder): Promise<EncoderFiles> {
  const read = (file: string): Promise<Uint8Array> => readVerified(folder, file, fileDigests[file])
  const configJson = JSON.parse(new TextDecoder().decode(await read('config.json'))) as Record<
    string,
    unknown
  >
  const present = tokenizerFileNames.filter((file) => Object.hasOwn(fileDigests, file))
  const tokenizerFiles = new Map<string, Uint8Array>()
  for (const file of present) tokenizerFiles.set(file, await read(file))
  return {
    configJson,
    config: readModelConfig(configJson),
    weights: await read('model.safetensors'),
    tokenizerFiles,
  }
}

export interface HeadLayout {
  readonly labels: readonly string[]
  readonly headHiddenSizes: readonly number[]
  /** How token vectors become one; mean by default. */
  readonly pooling?: Pooling
  /** Every label has an encoder of its own. */
  readonly separateEncoders?: boolean
}

/** config.json of the trained model: Hugging Face's fields for a multi-label classifier, and our own block. */
export function trainedConfigJson(
  base: Readonly<Record<string, unknown>>,
  { labels, headHiddenSizes, pooling = 'mean', separateEncoders = false }: HeadLayout,
): Record<string, unknown> {
  // transformers has this very model, and needs no code from the folder.
  const modelType = String(base['model_type'])
  const isNative =
    modelType === 'bert' && pooling === 'pooler' && headHiddenSizes.length === 0 && !separateEncoders
  const classifier = classifierClass(modelType)
  return {
    ...base,
    architectures: [isNative ? 'BertForSequenceClassification' : classifier],
    ...(isNative
      ? {}
      : { auto_map: { AutoModelForSequenceClassification: `modeling_labelstream.${classifier}` } }),
    // The file may hold half-precision tensors; transformers is to compute in full precision, as this program does.
    dtype: 'float32',
    torch_dtype: 'float32',
    problem_type: 'multi_label_classification',
    id2label: Object.fromEntries(labels.entries()),
    label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
    labelstream: {
      pooling,
      headHiddenSizes,
      headActivation: 'gelu',
      ...(separateEncoders ? { separateEncoders } : {}),
    },
  }
}

/** Of models/modeling_labelstream.py: transformers wants one for each of its configurations. */
const classifierClass = (modelType: string): string =>
  `Labelstream${modelType === 'bert' ? '' : classNameOf(modelType)}ForSequenceClassification`

/**
 * model.safetensors of a frozen encoder with a new head: the base's tensors byte for byte in their order, so that
 * versions of one encoder differ in few bytes, then the head in fp32. A head that the base had is left out.
 */
export function weightsWithHead(base: Uint8Array, config: ModelConfig, head: FloatArrays): Uint8Array {
  const tensors = new Map<string, Tensor>()
  for (const [name, tensor] of readSafetensors(base)) {
    if (!/^(head\.\d+|classifier|pre_classifier)\./.test(name)) tensors.set(name, tensor)
  }
  for (const [name, shape] of headParameters(config)) {
    const values = head[name]?.values
    if (values === undefined) throw new RangeError(`the trained head has no ${name}`)
    tensors.set(name, float32Tensor(values, shape))
  }
  return writeSafetensors(tensors, { format: 'pt', ...readSafetensorsMetadata(base) })
}

/** Whether a parameter is part of an encoder (its pooler included) and not of a head. */
export const isEncoderParameter = (name: string): boolean => /^(label\.\d+\.)?bert\./.test(name)

/**
 * The tensors of a trained encoder with its head: the encoder in halves where the base was, the head in fp32.
 * Tensors of the base that the model does not use are left out.
 */
export function tensorsOfWhole(
  base: Uint8Array,
  config: ModelConfig,
  parameters: ReadonlyMap<string, Float32Array>,
): Map<string, Tensor> {
  const inHalves = [...readSafetensors(base).values()].some(({ dtype }) => dtype === 'F16')
  const tensors = new Map<string, Tensor>()
  for (const [name, shape] of modelParameters(config, 'logits')) {
    const values = parameters.get(name)
    if (values === undefined) throw new RangeError(`the trained model has no ${name}`)
    const asHalves = inHalves && isEncoderParameter(name)
    const stored = storedName(name, config)
    tensors.set(stored, asHalves ? float16Tensor(values, shape) : float32Tensor(values, shape))
  }
  return tensors
}
