import { z } from 'zod'
import { LabelstreamError } from '../core/errors.ts'
import { activationNames } from './activation.ts'
import type { Activation } from './activation.ts'
import { type Family, type FamilyTraits, families, familyOf, supportedModelTypes } from './families.ts'

/** How token vectors become one vector for the text. */
export type Pooling = 'mean' | 'cls' | 'pooler'

export type ProblemType = 'multi_label_classification' | 'single_label_classification' | 'regression'

/** What config.json says about a model, in this program's words. */
export interface ModelConfig {
  readonly family: Family
  readonly vocabularySize: number
  readonly hiddenSize: number
  readonly layers: number
  readonly attentionHeads: number
  readonly intermediateSize: number
  /** Longest window in tokens. */
  readonly maxPositions: number
  /** Rows of the position table that come before the first token's. */
  readonly unusedPositions: number
  /** 0 where the family knows none. */
  readonly tokenTypes: number
  readonly layerNormEpsilon: number
  readonly activation: Activation
  readonly padTokenId: number
  /** Dropout rates for training; inference has none. */
  readonly hiddenDropout: number
  readonly attentionDropout: number
  readonly headDropout: number
  readonly pooling: Pooling
  /** Label names in the order of the logits; empty for an encoder without a head. */
  readonly labels: readonly string[]
  /** Widths of the head's dense layers before the classifier; usually none. */
  readonly headHiddenSizes: readonly number[]
  readonly headActivation: Activation
  /** The head is that of transformers' own classifier, and is named as there. */
  readonly hasNativeHead: boolean
  /** Every label has an encoder and a head of its own. */
  readonly separateEncoders: boolean
  readonly problemType: ProblemType | undefined
}

/** Ten thousand labels with long names fit. */
export const maxConfigBytes = 16 * 1_048_576
const maxLabels = 10_000

const size = (most: number) => z.int().min(1).max(most)
const rate = z.number().min(0).lt(1)
/** Absent and null mean the same in config.json. */
const optional = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? undefined)

/** Fields and defaults are BertConfig's (transformers, configuration_bert.py); other families' are translated. */
const bertSchema = z.looseObject({
  vocab_size: size(10_000_000).default(30_522),
  hidden_size: size(65_536).default(768),
  num_hidden_layers: size(1_000).default(12),
  num_attention_heads: size(1_000).default(12),
  intermediate_size: size(1_000_000).default(3_072),
  max_position_embeddings: size(1_000_000).default(512),
  type_vocab_size: size(1_000).default(2),
  layer_norm_eps: z.number().positive().max(1).default(1e-12),
  hidden_act: z.string().default('gelu'),
  pad_token_id: optional(z.int().min(0)),
  hidden_dropout_prob: rate.default(0.1),
  attention_probs_dropout_prob: rate.default(0.1),
  classifier_dropout: optional(rate),
  position_embedding_type: optional(z.string()),
  is_decoder: optional(z.boolean()),
  architectures: optional(z.array(z.string())),
  problem_type: optional(z.string()),
  id2label: optional(z.record(z.string(), z.string().min(1))),
  num_labels: optional(size(maxLabels)),
  labelstream: optional(
    z.looseObject({
      pooling: z.string().optional(),
      headHiddenSizes: z.array(size(65_536)).max(16).optional(),
      headActivation: z.string().optional(),
      separateEncoders: z.boolean().optional(),
    }),
  ),
})
type BertJson = z.infer<typeof bertSchema>

const poolings: readonly Pooling[] = ['mean', 'cls', 'pooler']
const problemTypes: readonly ProblemType[] = [
  'multi_label_classification',
  'single_label_classification',
  'regression',
]

const corrupt = (message: string): LabelstreamError =>
  new LabelstreamError('MODEL_CORRUPT', `config.json: ${message}`)
const unsupported = (message: string): LabelstreamError =>
  new LabelstreamError('MODEL_UNSUPPORTED', `config.json: ${message}`)

/**
 * Reads a parsed Hugging Face config.json. With a `labelstream` object that decides pooling and head; without
 * one, a `…ForSequenceClassification` architecture means the pooling and head that transformers gives the family, and
 * anything else an encoder without a head, pooled by mean.
 * Throws MODEL_UNSUPPORTED for what this program cannot compute and MODEL_CORRUPT for impossible values.
 */
export function readModelConfig(json: unknown): ModelConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw corrupt('not a JSON object')
  const modelType = 'model_type' in json ? json.model_type : undefined
  const family = familyOf(modelType)
  if (family === undefined) {
    const name = typeof modelType === 'string' ? JSON.stringify(modelType.slice(0, 50)) : 'missing'
    throw unsupported(`model_type is ${name}; supported are ${supportedModelTypes.join(', ')}`)
  }
  const traits = families[family]
  const parsed = bertSchema.safeParse(asBert(json as Readonly<Record<string, unknown>>, traits))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const path = issue?.path.map(String) ?? []
    const [field = ''] = path
    const theirs = [traits.fields[field] ?? field, ...path.slice(1)].join('.')
    throw corrupt(`${theirs}: ${issue?.message ?? 'invalid'}`)
  }
  return fromBert(parsed.data, family)
}

/** Under BERT's names, with the family's defaults. */
function asBert(
  json: Readonly<Record<string, unknown>>,
  { fields, defaults }: FamilyTraits,
): Record<string, unknown> {
  const given: Record<string, unknown> = { ...defaults, ...json }
  const renamed = Object.entries(fields).map(([ours, theirs]) => [ours, given[theirs]] as const)
  return { ...given, ...Object.fromEntries(renamed) }
}

function fromBert(json: BertJson, family: Family): ModelConfig {
  const { hasTokenTypes, hasPooler, classifier, unusedPositions: unusedFor } = families[family]
  if (json.is_decoder === true) throw unsupported('is_decoder is true; only encoders are supported')
  if ((json.position_embedding_type ?? 'absolute') !== 'absolute') {
    throw unsupported(
      `position_embedding_type is ${quoted(json.position_embedding_type)}; supported is "absolute"`,
    )
  }
  if (json.hidden_size % json.num_attention_heads !== 0) {
    throw corrupt(
      `hidden_size ${json.hidden_size} is not a multiple of num_attention_heads ${json.num_attention_heads}`,
    )
  }
  const classifies = (json.architectures ?? []).some((name) => name.endsWith('ForSequenceClassification'))
  const own = json.labelstream
  const hasHead = classifies || (own !== undefined && json.id2label !== undefined)
  const hasNativeHead = classifies && own === undefined
  const hasDense = hasNativeHead && classifier.denseActivation !== undefined
  const padTokenId = json.pad_token_id ?? 0
  const unusedPositions = unusedFor(padTokenId)
  if (json.max_position_embeddings <= unusedPositions) {
    throw corrupt(`max_position_embeddings ${json.max_position_embeddings} leaves no position for a token`)
  }
  const pooling = readChoice(
    'labelstream.pooling',
    own?.pooling ?? (hasNativeHead ? classifier.pooling : 'mean'),
    poolings,
  )
  if (pooling === 'pooler' && !hasPooler)
    throw unsupported(`pooling is "pooler", and ${family} has no pooler`)
  return {
    family,
    vocabularySize: json.vocab_size,
    hiddenSize: json.hidden_size,
    layers: json.num_hidden_layers,
    attentionHeads: json.num_attention_heads,
    intermediateSize: json.intermediate_size,
    maxPositions: json.max_position_embeddings - unusedPositions,
    unusedPositions,
    tokenTypes: hasTokenTypes ? json.type_vocab_size : 0,
    layerNormEpsilon: json.layer_norm_eps,
    activation: readActivation('hidden_act', json.hidden_act),
    padTokenId,
    hiddenDropout: json.hidden_dropout_prob,
    attentionDropout: json.attention_probs_dropout_prob,
    headDropout: json.classifier_dropout ?? json.hidden_dropout_prob,
    pooling,
    labels: hasHead ? readLabels(json) : [],
    headHiddenSizes: hasDense ? [json.hidden_size] : (own?.headHiddenSizes ?? []),
    headActivation: hasDense
      ? classifier.denseActivation
      : readActivation('labelstream.headActivation', own?.headActivation ?? 'gelu'),
    hasNativeHead,
    separateEncoders: own?.separateEncoders ?? false,
    problemType:
      json.problem_type === undefined
        ? undefined
        : readChoice('problem_type', json.problem_type, problemTypes),
  }
}

/** id2label in the order of its ids; transformers leaves it out where it is LABEL_0, LABEL_1, … */
function readLabels({ id2label, num_labels }: BertJson): readonly string[] {
  if (id2label === undefined) return Array.from({ length: num_labels ?? 2 }, (_, id) => `LABEL_${id}`)
  const count = Object.keys(id2label).length
  if (count > maxLabels) throw corrupt(`id2label has ${count} labels; at most ${maxLabels} are supported`)
  const labels = Array.from({ length: count }, (_, id) => {
    const label = id2label[String(id)]
    if (label === undefined) throw corrupt(`id2label has ${count} labels, and none with the id ${id}`)
    return label
  })
  if (count === 0) throw corrupt('id2label is empty')
  if (new Set(labels).size !== count) throw corrupt('id2label names a label twice')
  return labels
}

function readActivation(key: string, name: string): Activation {
  const activation = Object.hasOwn(activationNames, name) ? activationNames[name] : undefined
  if (activation === undefined) {
    throw unsupported(`${key} is ${quoted(name)}; supported are ${Object.keys(activationNames).join(', ')}`)
  }
  return activation
}

function readChoice<T extends string>(key: string, name: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === name)
  if (choice === undefined)
    throw unsupported(`${key} is ${quoted(name)}; supported are ${choices.join(', ')}`)
  return choice
}

const quoted = (value: unknown): string => JSON.stringify(String(value).slice(0, 50))
