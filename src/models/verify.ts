import { readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256, sha256OfFile } from '../core/digest.ts'
import { LabelstreamError } from '../core/errors.ts'
import { readFileLimited } from '../core/files.ts'
import { type Manifest, manifestFile, maxManifestBytes, parseManifest, versionDigest } from './manifest.ts'

export interface Verification {
  readonly manifest: Manifest
  /** The version's digest (`versionDigest`). */
  readonly digest: string
  /** Files of the folder that the manifest does not name; nothing reads them. */
  readonly unknownFiles: readonly string[]
}

/**
 * Compares every file of a model folder with its manifest, before anything else is parsed.
 * Throws MODEL_NOT_FOUND without a manifest, MODEL_CORRUPT naming the first missing or changed file.
 */
export async function verifyFolder(folder: string): Promise<Verification> {
  const manifestPath = join(folder, manifestFile)
  const bytes = await readFileLimited(manifestPath, maxManifestBytes).catch((error: unknown) => {
    if (error instanceof LabelstreamError) throw error
    throw new LabelstreamError('MODEL_NOT_FOUND', `${folder} is no model folder: it has no ${manifestFile}`, {
      cause: error,
    })
  })
  const manifest = parseManifest(bytes.toString('utf8'), manifestPath)
  for (const [file, expected] of Object.entries(manifest.files)) {
    await verifyFile(join(folder, file), expected)
  }
  const present = await readdir(folder)
  return {
    manifest,
    digest: versionDigest(manifest.files),
    unknownFiles: present.filter((file) => file !== manifestFile && !Object.hasOwn(manifest.files, file)).sort(),
  }
}

/** A file's bytes, compared with the digest that a manifest has for it. Throws FILE_UNREADABLE, MODEL_CORRUPT. */
export async function readVerified(folder: string, file: string, digest: string | undefined): Promise<Uint8Array> {
  const path = join(folder, file)
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new LabelstreamError('FILE_UNREADABLE', `${path} cannot be read`, { cause: error })
  })
  if (sha256(bytes) === digest) return bytes
  throw new LabelstreamError('MODEL_CORRUPT', `${path} differs from its manifest`)
}

async function verifyFile(path: string, expected: { sha256: string; sizeBytes: number }): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined || !found.isFile()) {
    throw new LabelstreamError('MODEL_CORRUPT', `${path} is missing; the manifest names it`)
  }
  // The size first: it is free, and tells a cut-off copy from a changed one.
  if (found.size !== expected.sizeBytes) {
    throw new LabelstreamError(
      'MODEL_CORRUPT',
      `${path} has ${found.size} bytes, the manifest says ${expected.sizeBytes}`,
    )
  }
  const digest = await sha256OfFile(path)
  if (digest !== expected.sha256) {
    throw new LabelstreamError(
      'MODEL_CORRUPT',
      `${path} differs from its manifest: SHA-256 ${digest.slice(0, 12)} instead of ${expected.sha256.slice(0, 12)}`,
    )
  }
}
