import { readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Tensor } from '../../src/formats/safetensors.ts'
import type { WrittenVersion } from '../../src/models/versions.ts'
import { writeSmallModel } from './small-model.ts'

/** Writes a version of the small model that must not be served. Of each seed another one. */
type WriteDamaged = (modelsFolder: string, seed: number) => Promise<WrittenVersion>

const weightsOf = ({ path }: WrittenVersion): string => join(path, 'model.safetensors')

async function changed(
  version: WrittenVersion,
  change: (version: WrittenVersion) => Promise<void>,
): Promise<WrittenVersion> {
  await change(version)
  return version
}

/** What can be wrong with a version, and what the refusal must name. */
export const damages = {
  'a truncated file': {
    names: /model\.safetensors has \d+ bytes, the manifest says \d+/,
    write: async (folder, seed) =>
      changed(await writeSmallModel(folder, seed), (version) => truncate(weightsOf(version), 10_000)),
  },
  'a flipped byte': {
    names: /model\.safetensors differs from its manifest/,
    write: async (folder, seed) =>
      changed(await writeSmallModel(folder, seed), async (version) => {
        const bytes = await readFile(weightsOf(version))
        bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 0x10
        await writeFile(weightsOf(version), bytes)
      }),
  },
  'a missing file': {
    names: /tokenizer\.json is missing/,
    write: async (folder, seed) =>
      changed(await writeSmallModel(folder, seed), ({ path }) => rm(join(path, 'tokenizer.json'))),
  },
  'a damaged manifest': {
    names: /manifest\.json: not valid JSON/,
    write: async (folder, seed) =>
      changed(await writeSmallModel(folder, seed), ({ path }) => truncate(join(path, 'manifest.json'), 100)),
  },
  'outputs that are not numbers': {
    names: /logits are not all numbers/,
    write: (folder, seed) =>
      writeSmallModel(folder, seed, {
        change: (weights) => {
          for (const [name, { data }] of weights) if (name.endsWith('classifier.bias')) data.fill(0xff)
        },
      }),
  },
  'scores other than those of its golden texts': {
    names: /golden text 0 scores 0\.\d+ off for label first/,
    write: (folder, seed) =>
      writeSmallModel(folder, seed, {
        golden: [{ text: 'Hello.', scores: { first: 0, second: 0, third: 0 } }],
      }),
  },
  'a label fewer in the decision': {
    names: /config\.json: id2label differs from the labels of decision\.json/,
    write: (folder, seed) => writeSmallModel(folder, seed, { decisionLabels: ['first', 'second'] }),
  },
  'a label more than the weights have': {
    names: /classifier/,
    write: async (folder, seed) => {
      let ofThree: ReadonlyMap<string, Tensor> = new Map()
      await writeSmallModel(folder, seed, { change: (weights) => (ofThree = new Map(weights)) })
      return writeSmallModel(folder, seed, {
        labels: ['first', 'second', 'third', 'fourth'],
        change: (weights) => {
          for (const [name, tensor] of ofThree) weights.set(name, tensor)
        },
      })
    },
  },
} as const satisfies Readonly<Record<string, { readonly names: RegExp; readonly write: WriteDamaged }>>

export type Damage = keyof typeof damages

export const damageNames = Object.keys(damages) as readonly Damage[]
