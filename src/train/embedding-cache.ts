import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../core/digest.ts'
import { LabelstreamError, messageOf } from '../core/errors.ts'

const digestBytes = 32

/**
 * Where the embeddings of one list of texts are kept. One file a list, not one a text: the last bits of an
 * embedding depend on the batch it was in, so a cache filled in parts would make a training depend on what ran
 * before it.
 */
export function cachePath(folder: string, identity: string, texts: readonly string[]): string {
  const list = createHash('sha256').update(identity)
  for (const text of texts) list.update(`\n${sha256(text)}`)
  return join(folder, `embeddings-${list.digest('hex').slice(0, 32)}.bin`)
}

/** `count` numbers from a cache file; undefined when it is not there or does not fit its own digest. */
export async function readCached(path: string, count: number): Promise<Float32Array | undefined> {
  const bytes = await readFile(path).catch(() => undefined)
  if (bytes?.length !== count * 4 + digestBytes) return undefined
  const content = bytes.subarray(0, count * 4)
  const digest = createHash('sha256').update(content).digest()
  if (!digest.equals(bytes.subarray(count * 4))) return undefined
  // A copy: typed arrays need an aligned start, which a file's buffer need not have.
  return new Float32Array(Uint8Array.from(content).buffer)
}

/** Writes numbers and their digest, beside the old file and then in its place. Throws FILE_UNREADABLE. */
export async function writeCached(folder: string, path: string, values: Float32Array): Promise<void> {
  const content = Buffer.from(values.buffer, values.byteOffset, values.byteLength)
  const digest = createHash('sha256').update(content).digest()
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
  try {
    await mkdir(folder, { recursive: true })
    await writeFile(temporary, Buffer.concat([content, digest]))
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw new LabelstreamError('FILE_UNREADABLE', `${path} cannot be written: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
