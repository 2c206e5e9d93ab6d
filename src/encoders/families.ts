import type { Activation } from './activation.ts'

/** Encoders that compute what BERT computes, and name its parts differently. */
export type Family = 'bert' | 'roberta' | 'distilbert'

/** How a family's files differ from BERT's. */
export interface FamilyTraits {
  /** By `model_type` of config.json: what transformers' classes begin with. */
  readonly classNames: Readonly<Record<string, string>>
  /** Its names for BERT's fields of config.json, where they are others. */
  readonly fields: Readonly<Record<string, string>>
  /** Its defaults for BERT's fields, where they are others (transformers, configuration_*.py). */
  readonly defaults: Readonly<Record<string, unknown>>
  readonly hasTokenTypes: boolean
  readonly hasPooler: boolean
  /** Its position table begins behind the padding token's id: these rows come first, and no token uses them. */
  readonly unusedPositions: (padTokenId: number) => number
  /** What transformers' own sequence classifier puts on the encoder. */
  readonly classifier: {
    readonly pooling: 'cls' | 'pooler'
    /** Of a dense layer as wide as the encoder; without one the classifier reads the pooled vector. */
    readonly denseActivation?: Activation
    /** Its names of the head's layers, ours before theirs. */
    readonly names: readonly (readonly [ours: string, theirs: string])[]
  }
  /** What its names of the encoder's parameters begin with, and what is in them, each after BERT's; the first that fits. */
  readonly prefixes: readonly (readonly [ours: string, theirs: string])[]
  readonly parts: readonly (readonly [ours: string, theirs: string])[]
}

export const families: { readonly [Name in Family]: FamilyTraits } = {
  bert: {
    classNames: { bert: 'Bert' },
    fields: {},
    defaults: {},
    hasTokenTypes: true,
    hasPooler: true,
    unusedPositions: () => 0,
    classifier: { pooling: 'pooler', names: [] },
    prefixes: [['bert.', 'bert.']],
    parts: [],
  },
  roberta: {
    classNames: { roberta: 'Roberta', 'xlm-roberta': 'XLMRoberta', camembert: 'Camembert' },
    fields: {},
    defaults: { vocab_size: 50_265, pad_token_id: 1 },
    hasTokenTypes: true,
    hasPooler: true,
    unusedPositions: (padTokenId) => padTokenId + 1,
    classifier: {
      pooling: 'cls',
      denseActivation: 'tanh',
      names: [
        ['head.0.', 'classifier.dense.'],
        ['classifier.', 'classifier.out_proj.'],
      ],
    },
    prefixes: [['bert.', 'roberta.']],
    parts: [],
  },
  distilbert: {
    classNames: { distilbert: 'DistilBert' },
    fields: {
      hidden_size: 'dim',
      num_hidden_layers: 'n_layers',
      num_attention_heads: 'n_heads',
      intermediate_size: 'hidden_dim',
      hidden_act: 'activation',
      hidden_dropout_prob: 'dropout',
      attention_probs_dropout_prob: 'attention_dropout',
      classifier_dropout: 'seq_classif_dropout',
    },
    defaults: { dim: 768, n_layers: 6, n_heads: 12, hidden_dim: 3_072, seq_classif_dropout: 0.2 },
    hasTokenTypes: false,
    hasPooler: false,
    unusedPositions: () => 0,
    classifier: {
      pooling: 'cls',
      denseActivation: 'relu',
      names: [['head.0.', 'pre_classifier.']],
    },
    prefixes: [
      ['bert.encoder.layer.', 'distilbert.transformer.layer.'],
      ['bert.', 'distilbert.'],
    ],
    parts: [
      ['.attention.self.query.', '.attention.q_lin.'],
      ['.attention.self.key.', '.attention.k_lin.'],
      ['.attention.self.value.', '.attention.v_lin.'],
      ['.attention.output.dense.', '.attention.out_lin.'],
      ['.attention.output.LayerNorm.', '.sa_layer_norm.'],
      ['.intermediate.dense.', '.ffn.lin1.'],
      ['.output.dense.', '.ffn.lin2.'],
      ['.output.LayerNorm.', '.output_layer_norm.'],
    ],
  },
}

const familyNames = Object.keys(families) as Family[]

/** Undefined for a `model_type` that is none of theirs. */
export const familyOf = (modelType: unknown): Family | undefined =>
  familyNames.find(
    (name) => typeof modelType === 'string' && Object.hasOwn(families[name].classNames, modelType),
  )

export const supportedModelTypes: readonly string[] = familyNames.flatMap((name) =>
  Object.keys(families[name].classNames),
)

/** What transformers' classes for a supported `model_type` begin with. */
export const classNameOf = (modelType: string): string | undefined =>
  families[familyOf(modelType) ?? 'bert'].classNames[modelType]
