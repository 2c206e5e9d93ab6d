import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../core/digest.ts'
import { LabelstreamError } from '../core/errors.ts'
import { packageRoot } from '../core/paths.ts'

export const transformersFile = 'modeling_labelstream.py'

/** What earlier releases of this program wrote: safe to keep, so that the digest of a version stays what it is. */
const earlierDigests: readonly string[] = [
  '8ac4cec504f89e589cb24f36975e22940494d22970e86802c7514e2725a3e475',
]

/** The Python file of a version that comes from elsewhere: its own where an earlier release wrote it, else ours. */
export async function codeOfVersion(folder: string, digest: string): ReturnType<typeof transformersCode> {
  if (earlierDigests.includes(digest)) {
    const bytes = await readFile(join(folder, transformersFile)).catch(() => new Uint8Array())
    if (sha256(bytes) === digest) return [transformersFile, bytes]
  }
  return transformersCode()
}

/** The Python file that `auto_map` names: the pooling and the head for transformers. Throws FILE_UNREADABLE. */
export async function transformersCode(): Promise<readonly [name: string, bytes: Uint8Array]> {
  const path = join(packageRoot, 'models', transformersFile)
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new LabelstreamError('FILE_UNREADABLE', `${path} cannot be read`, { cause: error })
  })
  return [transformersFile, bytes]
}
