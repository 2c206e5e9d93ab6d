import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { packageRoot } from '../../src/core/paths.ts'
import { readModelConfig } from '../../src/encoders/config.ts'
import { readGraphConfig } from '../../src/encoders/graph-config.ts'
import { buildModelGraph } from '../../src/encoders/model.ts'
import {
  readSafetensors,
  readSafetensorsMetadata,
  toFloat32,
  writeSafetensors,
} from '../../src/formats/safetensors.ts'
import { readChampion } from '../../src/models/champion.ts'
import { decide, parseDecision } from '../../src/models/decision.ts'
import { parseManifest, versionDigest } from '../../src/models/manifest.ts'
import { inspectGraph } from '../../src/runtime/stored-graph.ts'
import { loadTokenizer } from '../../src/text/tokenizer.ts'
import { cutWindows } from '../../src/text/windows.ts'
import { fuzzCases, fuzzSeed, refusalOf, survives } from '../support/fuzz.ts'
import { savedModel } from '../support/saved-model.ts'

// in memory where the system has such a place: a hundred thousand files are written
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'labelstream-fuzz-'))
after(() => {
  rmSync(folder, { recursive: true })
})

let saved: string
before(async () => {
  saved = await savedModel()
})
const file = (name: string): Buffer => readFileSync(join(saved, name))

const advice = join(packageRoot, 'models', 'advice')
const shipped = (name: string): Buffer => {
  const version = readFileSync(join(advice, 'champion'), 'utf8').trim()
  return readFileSync(join(advice, version, name))
}

test('safetensors: every tensor that is read can be used', async (t) => {
  const small = (dtype: 'F32' | 'F16' | 'BF16' | 'I64', shape: number[], bytes: number) =>
    [`${dtype} tensor`, { dtype, shape, data: new Uint8Array(bytes).fill(65) }] as const
  const written = writeSafetensors(
    new Map([
      small('F32', [2, 3], 24),
      small('F16', [4], 8),
      small('BF16', [1, 1, 2], 4),
      small('I64', [0], 0),
    ]),
    { format: 'pt', made: 'here' },
  )
  await survives(t, {
    seeds: [Buffer.from(written), Buffer.from(written), file('model.safetensors')],
    read: (bytes) => {
      readSafetensorsMetadata(bytes)
      for (const [name, tensor] of readSafetensors(bytes)) {
        if (tensor.dtype !== 'I64') toFloat32(tensor, name)
      }
    },
  })
})

test('config.json, and the graph that it asks for with the weights of another', async (t) => {
  const weights = readSafetensors(file('model.safetensors'))
  const config = file('config.json')
  await survives(t, {
    seeds: [config, config, shipped('config.json')],
    read: (bytes) => readModelConfig(parsed(bytes)),
  })
  await survives(t, {
    seeds: [config],
    // the graph of a tiny model takes milliseconds
    share: 0.05,
    read: (bytes) => buildModelGraph(readModelConfig(parsed(bytes)), weights, 'logits').length,
  })
})

test('model.onnx, before a session sees it, and the config.json beside it', async (t) => {
  const config = readModelConfig(parsed(file('config.json')))
  const weights = readSafetensors(file('model.safetensors'))
  const graphs = (['fp32', 'int8'] as const).map((precision) =>
    Buffer.from(buildModelGraph(config, weights, 'logits', precision, undefined, 'portable')),
  )
  await survives(t, { seeds: graphs, share: 0.2, read: (bytes) => inspectGraph(bytes, 'model.onnx') })
  await survives(t, { seeds: [file('config.json')], read: (bytes) => readGraphConfig(parsed(bytes)) })
})

/** What reads config.json parses it first; that this can fail is not of interest here. */
function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

test('configurations of any shape', (t) => {
  const size = fc.oneof(
    fc.integer(),
    fc.double(),
    fc.constantFrom(0, 1, 2 ** 31, 2 ** 53, 1e300),
    fc.jsonValue(),
  )
  const config = fc.record(
    {
      model_type: fc.constant('bert'),
      ...Object.fromEntries(
        [
          'vocab_size',
          'hidden_size',
          'num_hidden_layers',
          'num_attention_heads',
          'intermediate_size',
          'num_labels',
        ].map((key) => [key, size]),
      ),
      id2label: fc.oneof(fc.jsonValue(), fc.dictionary(fc.string(), fc.string())),
      labelstream: fc.oneof(
        fc.jsonValue(),
        fc.record({ pooling: fc.string(), headHiddenSizes: fc.array(size) }),
      ),
      architectures: fc.oneof(fc.jsonValue(), fc.constant(['BertForSequenceClassification'])),
    },
    { requiredKeys: ['model_type'] },
  )
  fc.assert(
    fc.property(fc.oneof({ weight: 9, arbitrary: config }, fc.jsonValue()), (json) => {
      try {
        readModelConfig(json)
      } catch (error) {
        refusalOf(error, 'a configuration', Buffer.from(JSON.stringify(json)))
      }
    }),
    { numRuns: fuzzCases, seed: fuzzSeed },
  )
  t.diagnostic(`${fuzzCases} cases of seed ${fuzzSeed}`)
})

test('decision.json, and the decisions that follow', async (t) => {
  await survives(t, {
    seeds: [shipped('decision.json')],
    read: (bytes) => {
      const decision = parseDecision(bytes.toString('utf8'), 'decision.json')
      return decide(decision, new Float32Array([0, -Infinity, 1e38, -3, 4])).decided
    },
  })
})

test('manifest.json', async (t) => {
  await survives(t, {
    seeds: [
      shipped('manifest.json'),
      readFileSync(join(packageRoot, 'models', 'minilm-l6', '1', 'manifest.json')),
    ],
    read: (bytes) => {
      const manifest = parseManifest(bytes.toString('utf8'), 'manifest.json')
      for (const name of Object.keys(manifest.files)) {
        if (join(folder, name) !== `${folder}/${name}`) throw new Error(`${name} leaves the folder`)
      }
      return versionDigest(manifest.files)
    },
  })
})

test('champion files name a folder below the model or nothing', async (t) => {
  const models = join(folder, 'models')
  mkdirSync(join(models, 'advice'), { recursive: true })
  await survives(t, {
    seeds: [Buffer.from('2026-11-23T22-33-01Z-069a45\n'), Buffer.from('1')],
    read: async (bytes) => {
      writeFileSync(join(models, 'advice', 'champion'), bytes)
      const version = await readChampion(models, 'advice')
      if (version !== undefined && !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(version)) throw new Error(version)
    },
  })
})

test('tokenizer.json and tokenizer_config.json, and texts through what they make', async (t) => {
  const tokenizers = join(folder, 'tokenizers')
  mkdirSync(tokenizers)
  const wordPiece = file('tokenizer.json')
  const base = JSON.parse(wordPiece.toString('utf8')) as Record<string, unknown>
  const bytePairs = {
    ...base,
    normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Lowercase' }] },
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    post_processor: { type: 'RobertaProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] },
    model: {
      type: 'BPE',
      unk_token: '[UNK]',
      vocab: { '[UNK]': 1, h: 4, e: 5, l: 6, o: 7, he: 8, ll: 9, hell: 10, hello: 11, Ġ: 12 },
      merges: [
        ['h', 'e'],
        ['l', 'l'],
        ['he', 'll'],
        ['hell', 'o'],
      ],
    },
  }
  const unigram = {
    ...base,
    normalizer: { type: 'NFKC' },
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', add_prefix_space: true, prepend_scheme: 'always' },
    model: {
      type: 'Unigram',
      unk_id: 0,
      vocab: [
        ['<unk>', 0],
        ['▁', -1],
        ['hello', -2.5],
        ['h', -3],
        ['e', -4],
      ],
    },
  }
  const texts = [
    'hello world',
    '',
    'Bread, code & İstanbul 中文 👩‍👩‍👧 \ud800 e\u0301',
    'a'.repeat(300),
    '[CLS] [SEP] ##ing',
  ]
  const limits = { maxTokens: 80, maxWindows: 3, strideTokens: 4 }
  const unusable = new Map<string, number>()
  await survives(t, {
    seeds: [wordPiece, Buffer.from(JSON.stringify(bytePairs)), Buffer.from(JSON.stringify(unigram))],
    read: async (bytes) => {
      writeFileSync(join(tokenizers, 'tokenizer.json'), bytes)
      const { encode, special } = await loadTokenizer(tokenizers)
      for (const text of texts) {
        let ids: readonly number[]
        try {
          ids = encode(text)
        } catch (error) {
          // a fault of the library on one text; the worker answers it with TOKENIZER_FAILED
          unusable.set(String(error).slice(0, 60), (unusable.get(String(error).slice(0, 60)) ?? 0) + 1)
          continue
        }
        if (ids.length < 10_000) cutWindows(ids, limits, special)
      }
    },
  })
  rmSync(join(tokenizers, 'tokenizer.json'))
  writeFileSync(join(tokenizers, 'tokenizer.json'), wordPiece)
  await survives(t, {
    seeds: [readFileSync(join(packageRoot, 'models', 'minilm-l6', '1', 'tokenizer_config.json'))],
    share: 0.2,
    read: async (bytes) => {
      writeFileSync(join(tokenizers, 'tokenizer_config.json'), bytes)
      await loadTokenizer(tokenizers)
    },
  })
  t.diagnostic(`texts that a damaged tokenizer failed on: ${JSON.stringify([...unusable])}`)
  readdirSync(tokenizers)
})
