import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LabelstreamError } from '../../src/core/errors.ts'
import { readModelConfig } from '../../src/encoders/config.ts'

const bert = {
  model_type: 'bert',
  architectures: ['BertModel'],
  vocab_size: 100,
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  intermediate_size: 64,
  max_position_embeddings: 48,
  type_vocab_size: 2,
  layer_norm_eps: 1e-5,
  hidden_act: 'gelu_new',
  hidden_dropout_prob: 0.2,
  attention_probs_dropout_prob: 0.3,
  pad_token_id: 1,
}
const classifier = { ...bert, architectures: ['BertForSequenceClassification'] }

const refused = (json: unknown, code: string, pattern: RegExp): void => {
  assert.throws(
    () => readModelConfig(json),
    (error) => {
      assert.ok(error instanceof LabelstreamError)
      assert.equal(error.code, code)
      assert.match(error.message, pattern)
      return true
    },
  )
}

test('an encoder without a head has its sizes, no labels, and is pooled by mean', () => {
  assert.deepEqual(readModelConfig(bert), {
    family: 'bert',
    vocabularySize: 100,
    hiddenSize: 32,
    layers: 2,
    attentionHeads: 4,
    intermediateSize: 64,
    maxPositions: 48,
    unusedPositions: 0,
    tokenTypes: 2,
    layerNormEpsilon: 1e-5,
    activation: 'gelu_tanh',
    padTokenId: 1,
    hiddenDropout: 0.2,
    attentionDropout: 0.3,
    headDropout: 0.2,
    pooling: 'mean',
    labels: [],
    headHiddenSizes: [],
    headActivation: 'gelu',
    hasNativeHead: false,
    problemType: undefined,
    separateEncoders: false,
  })
})

test('a classifier of transformers is pooled by the pooler and has its labels in the order of their ids', () => {
  const config = readModelConfig({
    ...classifier,
    problem_type: 'multi_label_classification',
    id2label: { 10: 'k', 1: 'b', 0: 'a', 2: 'c', 3: 'd', 4: 'e', 5: 'f', 6: 'g', 7: 'h', 8: 'i', 9: 'j' },
    classifier_dropout: 0.05,
  })
  assert.equal(config.pooling, 'pooler')
  assert.deepEqual(config.labels, [...'abcdefghijk'])
  assert.equal(config.problemType, 'multi_label_classification')
  assert.equal(config.headDropout, 0.05)
})

test('labels that transformers leaves out of the file are LABEL_0, LABEL_1', () => {
  assert.deepEqual(readModelConfig(classifier).labels, ['LABEL_0', 'LABEL_1'])
})

test('the labelstream object decides pooling and dense layers', () => {
  const config = readModelConfig({
    ...classifier,
    id2label: { 0: 'a' },
    labelstream: { pooling: 'cls', headHiddenSizes: [256], headActivation: 'tanh' },
  })
  assert.equal(config.pooling, 'cls')
  assert.deepEqual(config.headHiddenSizes, [256])
  assert.equal(config.headActivation, 'tanh')
  assert.equal(readModelConfig({ ...classifier, labelstream: {} }).pooling, 'mean')
})

test('a custom architecture has a head when it has both labels and a labelstream object', () => {
  const custom = { ...bert, architectures: ['AnyModel'], id2label: { 0: 'a' } }
  assert.deepEqual(readModelConfig({ ...custom, labelstream: { pooling: 'mean' } }).labels, ['a'])
  assert.deepEqual(readModelConfig(custom).labels, [])
})

test('null means absent, as transformers writes it', () => {
  const config = readModelConfig({
    ...bert,
    classifier_dropout: null,
    problem_type: null,
    id2label: null,
    labelstream: null,
  })
  assert.equal(config.headDropout, 0.2)
})

test('what this program cannot compute is named', () => {
  refused({ ...bert, model_type: 'gpt2' }, 'MODEL_UNSUPPORTED', /model_type is "gpt2"/)
  refused({ hidden_size: 3 }, 'MODEL_UNSUPPORTED', /model_type is missing/)
  refused({ ...bert, hidden_act: 'xielu' }, 'MODEL_UNSUPPORTED', /hidden_act is "xielu"; supported are gelu/)
  refused({ ...bert, hidden_act: 'constructor' }, 'MODEL_UNSUPPORTED', /hidden_act/)
  refused({ ...bert, is_decoder: true }, 'MODEL_UNSUPPORTED', /is_decoder/)
  refused({ ...bert, position_embedding_type: 'relative_key' }, 'MODEL_UNSUPPORTED', /"relative_key"/)
  refused({ ...bert, problem_type: 'ranking' }, 'MODEL_UNSUPPORTED', /problem_type is "ranking"/)
  refused({ ...bert, labelstream: { pooling: 'max' } }, 'MODEL_UNSUPPORTED', /labelstream.pooling is "max"/)
})

test('impossible values are named', () => {
  refused([], 'MODEL_CORRUPT', /not a JSON object/)
  refused(null, 'MODEL_CORRUPT', /not a JSON object/)
  refused({ ...bert, hidden_size: '32' }, 'MODEL_CORRUPT', /hidden_size/)
  refused({ ...bert, num_hidden_layers: 1e9 }, 'MODEL_CORRUPT', /num_hidden_layers/)
  refused(
    { ...bert, num_attention_heads: 5 },
    'MODEL_CORRUPT',
    /hidden_size 32 is not a multiple of num_attention_heads 5/,
  )
  refused({ ...bert, hidden_dropout_prob: 1 }, 'MODEL_CORRUPT', /hidden_dropout_prob/)
  refused({ ...classifier, id2label: {} }, 'MODEL_CORRUPT', /id2label is empty/)
  refused({ ...classifier, id2label: { 0: 'a', 2: 'b' } }, 'MODEL_CORRUPT', /none with the id 1/)
  refused({ ...classifier, id2label: { 0: 'a', 1: 'a' } }, 'MODEL_CORRUPT', /names a label twice/)
  refused(
    { ...classifier, labelstream: { headHiddenSizes: [0] } },
    'MODEL_CORRUPT',
    /labelstream.headHiddenSizes.0/,
  )
})

test('any JSON is read or refused, never anything else', () => {
  const keys = [...Object.keys(bert), 'id2label', 'labelstream', 'problem_type', 'is_decoder', 'num_labels']
  const changes = fc.dictionary(fc.constantFrom(...keys), fc.jsonValue(), { maxKeys: 3 })
  fc.assert(
    fc.property(
      fc.oneof(
        changes.map((change) => ({ ...classifier, ...change })),
        fc.jsonValue(),
      ),
      (json) => {
        try {
          readModelConfig(JSON.parse(JSON.stringify(json)))
        } catch (error) {
          assert.ok(error instanceof LabelstreamError, String(error))
          assert.ok(!error.message.includes('\n'))
        }
      },
    ),
    { numRuns: 3_000 },
  )
})
