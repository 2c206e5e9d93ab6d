import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../../src/core/digest.ts'
import { packageRoot } from '../../src/core/paths.ts'
import { seededRandom } from '../../src/core/random.ts'
import { readModelConfig } from '../../src/encoders/config.ts'
import { encoderParameters, storedName } from '../../src/encoders/weights.ts'
import { float32Tensor, writeSafetensors } from '../../src/formats/safetensors.ts'

/** config.json of each: two layers of width 12. */
const configs = {
  bert: {
    model_type: 'bert',
    architectures: ['BertModel'],
    vocab_size: 30_522,
    hidden_size: 12,
    num_hidden_layers: 2,
    num_attention_heads: 3,
    intermediate_size: 24,
    max_position_embeddings: 64,
    type_vocab_size: 2,
    pad_token_id: 0,
  },
  roberta: {
    model_type: 'roberta',
    architectures: ['RobertaForMaskedLM'],
    vocab_size: 30_522,
    hidden_size: 12,
    num_hidden_layers: 2,
    num_attention_heads: 3,
    intermediate_size: 24,
    max_position_embeddings: 66,
    type_vocab_size: 1,
    pad_token_id: 1,
  },
  distilbert: {
    model_type: 'distilbert',
    architectures: ['DistilBertModel'],
    vocab_size: 30_522,
    dim: 12,
    n_layers: 2,
    n_heads: 3,
    hidden_dim: 24,
    max_position_embeddings: 64,
    pad_token_id: 0,
  },
}

/**
 * Writes an encoder that is trained in seconds: random weights, and the tokenizer of the shipped encoder. Returns its
 * folder.
 */
export async function writeTinyEncoder(
  parent: string,
  family: keyof typeof configs = 'bert',
): Promise<string> {
  const folder = join(parent, 'tiny-encoder')
  const json = configs[family]
  const random = seededRandom(1)
  const config = readModelConfig(json)
  const tensors = [...encoderParameters(config)].map(([name, shape]) => {
    const isScale = name.endsWith('LayerNorm.weight')
    const size = shape.reduce((product, each) => product * each, 1)
    const values = Float32Array.from({ length: size }, () => (isScale ? 1 : 0.2 * random.normal()))
    return [storedName(name, config), float32Tensor(values, shape)] as const
  })
  const shipped = join(packageRoot, 'models', 'minilm-l6', '1')
  const files: [string, Uint8Array | string][] = [
    ['config.json', JSON.stringify(json)],
    ['model.safetensors', writeSafetensors(new Map(tensors))],
    ['tokenizer.json', await readFile(join(shipped, 'tokenizer.json'))],
    ['tokenizer_config.json', await readFile(join(shipped, 'tokenizer_config.json'))],
  ]
  const manifest = {
    format: 1,
    kind: 'encoder',
    name: 'tiny-encoder',
    version: '1',
    created: '2026-11-23T10:00:00.000Z',
    licence: 'Apache-2.0',
    origin: 'random numbers',
    files: Object.fromEntries(
      files.map(([file, data]) => [file, { sha256: sha256(data), sizeBytes: Buffer.byteLength(data) }]),
    ),
  }
  await mkdir(folder, { recursive: true })
  for (const [file, data] of [...files, ['manifest.json', JSON.stringify(manifest)] as const]) {
    await writeFile(join(folder, file), data)
  }
  return folder
}
