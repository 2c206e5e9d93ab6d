import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../core/digest.ts'
import { type ModelDetails, renderCard } from './card.ts'
import { readChampion } from './champion.ts'
import type { Decision } from './decision.ts'
import { modelNames, versionNames } from './folder.ts'
import {
  type FileDigests,
  type Manifest,
  cardFile,
  manifestFile,
  parseManifest,
  versionDigest,
} from './manifest.ts'
import { modelFolder, versionFolder, versionName } from './names.ts'
import { writeWholeFolder } from './whole-folder.ts'

export interface VersionSummary {
  readonly version: string
  readonly champion: boolean
  readonly created: string
  readonly digest: string
  readonly strategy: string
  readonly path: string
}

export interface ModelSummary {
  readonly name: string
  readonly kind: Manifest['kind']
  readonly champion: string | undefined
  readonly versions: readonly VersionSummary[]
}

/** Every model of a folder with its versions, oldest first. Reads manifests only; `verifyFolder` checks files. */
export async function listModels(modelsFolder: string): Promise<ModelSummary[]> {
  const names = await modelNames(modelsFolder)
  const models = await Promise.all(names.map((name) => summaryOf(modelsFolder, name)))
  return models.filter((model) => model !== undefined)
}

async function summaryOf(modelsFolder: string, name: string): Promise<ModelSummary | undefined> {
  const folder = modelFolder(modelsFolder, name)
  const bare = await readManifest(folder)
  const champion = await readChampion(modelsFolder, name)
  if (bare !== undefined) {
    return { name, kind: bare.kind, champion, versions: [versionSummary(bare, folder, champion)] }
  }
  const versions: VersionSummary[] = []
  let kind: Manifest['kind'] = 'classifier'
  for (const version of await versionNames(modelsFolder, name)) {
    const path = versionFolder(modelsFolder, name, version)
    const manifest = await readManifest(path)
    if (manifest === undefined) continue
    versions.push(versionSummary(manifest, path, champion))
    kind = manifest.kind
  }
  return versions.length === 0 ? undefined : { name, kind, champion, versions }
}

function versionSummary(manifest: Manifest, path: string, champion: string | undefined): VersionSummary {
  return {
    version: manifest.version,
    champion: manifest.version === champion,
    created: manifest.created,
    digest: versionDigest(manifest.files),
    strategy: manifest.kind === 'classifier' ? manifest.strategy : '',
    path,
  }
}

async function readManifest(folder: string): Promise<Manifest | undefined> {
  const path = join(folder, manifestFile)
  const text = await readFile(path, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : parseManifest(text, path)
}

export interface NewVersion {
  readonly details: ModelDetails
  readonly decision: Decision
  /** config.json, tokenizer files, model.safetensors …; decision.json, card and manifest are added. */
  readonly files: ReadonlyMap<string, Uint8Array | string>
  readonly created: Date
}

export interface WrittenVersion {
  readonly version: string
  readonly path: string
  readonly digest: string
}

/** Writes a new version of a classifier, with its card. Throws as `placeVersion`. */
export function writeVersion(
  modelsFolder: string,
  { details, decision, files, created }: NewVersion,
): Promise<WrittenVersion> {
  const content = new Map(files)
  content.set('decision.json', `${JSON.stringify(decision, undefined, 2)}\n`)
  const digest = versionDigest(contentDigests(content))
  content.set(cardFile, renderCard(details, decision, digest))
  return placeVersion(modelsFolder, details.name, {
    content,
    created,
    manifestOf: (named) => ({ format: 1, kind: 'classifier', ...details, ...named }),
  })
}

/**
 * Writes an immutable version of a name: into a hidden folder first, renamed when complete, so that nobody ever sees
 * half a version. The same content written twice in one second is one version.
 * Throws FILE_UNREADABLE when the folder cannot be written.
 */
export async function placeVersion(
  modelsFolder: string,
  name: string,
  {
    content,
    created,
    manifestOf,
  }: {
    /** All files but the manifest. */
    readonly content: ReadonlyMap<string, Uint8Array | string>
    readonly created: Date
    readonly manifestOf: (named: Pick<Manifest, 'version' | 'created' | 'files'>) => Manifest
  },
): Promise<WrittenVersion> {
  const files = contentDigests(content)
  const digest = versionDigest(files)
  const version = versionName(created, digest)
  const manifest = manifestOf({ version, created: created.toISOString(), files })
  const path = versionFolder(modelsFolder, name, version)
  // where it stands already it has the same content: its name holds the digest
  await writeWholeFolder(path, async (folder) => {
    for (const [file, data] of content) await writeFile(join(folder, file), data, { flush: true })
    await writeFile(join(folder, manifestFile), `${JSON.stringify(manifest, undefined, 2)}\n`, { flush: true })
  })
  return { version, path, digest }
}

/** The files of a manifest, by name. */
function contentDigests(content: ReadonlyMap<string, Uint8Array | string>): FileDigests {
  const entries = [...content].map(([file, data]): [string, { sha256: string; sizeBytes: number }] => [
    file,
    { sha256: sha256(data), sizeBytes: Buffer.byteLength(data) },
  ])
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}
