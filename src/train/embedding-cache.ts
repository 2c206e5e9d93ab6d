import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../core/digest.ts'

const keyBytes = 32
const digestBytes = 32

/**
 * Embeddings on disk, one file an encoder: records of a text's SHA-256 and its numbers, and a SHA-256 over all of
 * it at the end. A file that does not fit its digest counts as empty: a cache can always be made again.
 */
export class EmbeddingCache {
  readonly #path: string
  readonly #width: number
  readonly #rows: Map<string, Float32Array>
  #changed = false

  private constructor(path: string, width: number, rows: Map<string, Float32Array>) {
    this.#path = path
    this.#width = width
    this.#rows = rows
  }

  /** `identity` names everything that the numbers depend on besides the text: encoder digest, pooling, limits. */
  static async open(folder: string, identity: string, width: number): Promise<EmbeddingCache> {
    const path = join(folder, `embeddings-${sha256(identity).slice(0, 16)}-${width}.bin`)
    const bytes = await readFile(path).catch(() => Buffer.alloc(0))
    return new EmbeddingCache(path, width, recordsOf(bytes, width))
  }

  get(text: string): Float32Array | undefined {
    return this.#rows.get(sha256(text))
  }

  set(text: string, embedding: Float32Array): void {
    this.#rows.set(sha256(text), embedding)
    this.#changed = true
  }

  /** Writes what is new, beside the old file and then in its place. */
  async save(): Promise<void> {
    if (!this.#changed) return
    await mkdir(join(this.#path, '..'), { recursive: true })
    const temporary = `${this.#path}.${randomBytes(4).toString('hex')}.tmp`
    const hash = createHash('sha256')
    const file = await open(temporary, 'w')
    try {
      for (const [key, values] of this.#rows) {
        const record = Buffer.concat([
          Buffer.from(key, 'hex'),
          Buffer.from(values.buffer, values.byteOffset, this.#width * 4),
        ])
        hash.update(record)
        await file.write(record)
      }
      await file.write(hash.digest())
      await file.close()
      await rename(temporary, this.#path)
      this.#changed = false
    } catch (error) {
      await file.close().catch(() => undefined)
      await rm(temporary, { force: true })
      throw error
    }
  }
}

function recordsOf(bytes: Buffer, width: number): Map<string, Float32Array> {
  const rows = new Map<string, Float32Array>()
  const recordBytes = keyBytes + width * 4
  const content = bytes.subarray(0, Math.max(0, bytes.length - digestBytes))
  if (content.length === 0 || content.length % recordBytes !== 0) return rows
  const digest = createHash('sha256').update(content).digest()
  if (!digest.equals(bytes.subarray(content.length))) return rows
  for (let start = 0; start < content.length; start += recordBytes) {
    const key = content.toString('hex', start, start + keyBytes)
    // A copy: typed arrays need an aligned start, which records in a file do not have.
    const values = Uint8Array.from(content.subarray(start + keyBytes, start + recordBytes))
    rows.set(key, new Float32Array(values.buffer))
  }
  return rows
}
