import { type ModelConfig, readModelConfig } from './config.ts'

/** Families whose positions begin after the padding token's id, as fairseq's do. */
const positionsAfterPadding: ReadonlySet<unknown> = new Set([
  'roberta',
  'xlm-roberta',
  'camembert',
  'mpnet',
  'xlm-roberta-xl',
  'longformer',
])

/** Other names of the same sizes: DistilBERT's, BART's. */
const otherNames: Readonly<Record<string, readonly string[]>> = {
  hidden_size: ['dim', 'd_model'],
  num_hidden_layers: ['n_layers', 'encoder_layers'],
  num_attention_heads: ['n_heads', 'encoder_attention_heads'],
  intermediate_size: ['hidden_dim', 'encoder_ffn_dim'],
}

/**
 * config.json of a classifier whose graph is stored, of whatever family: its labels, its longest window, and the sizes
 * that batches are cut by. Throws as `readModelConfig`.
 */
export function readGraphConfig(json: unknown): ModelConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return readModelConfig(json)
  const given = json as Readonly<Record<string, unknown>>
  const sizes = Object.entries(otherNames).map(([name, others]) => [
    name,
    [name, ...others].map((each) => given[each]).find((value) => value !== undefined && value !== null),
  ])
  const { max_position_embeddings: positions, pad_token_id: padding } = given
  const reserved =
    positionsAfterPadding.has(given['model_type']) && typeof padding === 'number' ? padding + 1 : 0
  const own = given['labelstream']
  return readModelConfig({
    ...Object.fromEntries(sizes.filter(([, value]) => value !== undefined)),
    vocab_size: given['vocab_size'],
    type_vocab_size: 1,
    pad_token_id: padding,
    ...(typeof positions === 'number' ? { max_position_embeddings: positions - reserved } : {}),
    problem_type: given['problem_type'],
    id2label: given['id2label'],
    num_labels: given['num_labels'],
    // what the graph is made of, it says itself
    model_type: 'bert',
    architectures: ['ForSequenceClassification'],
    ...(own === undefined ? {} : { labelstream: own }),
  })
}
