import { createHash, type Hash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { z } from 'zod'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { type Answer, type HubRequestOptions, HubRequests } from './hub-requests.ts'

/** A file of a repository, and what its bytes must be. */
export interface HubFile {
  readonly path: string
  readonly sizeBytes: number
  /** sha256: of the bytes. git: of the blob, `blob <size>\0` and the bytes, by SHA-1. */
  readonly digest: { readonly kind: 'sha256' | 'git'; readonly hex: string }
}

/** A repository as it was at one commit. */
export interface HubSnapshot {
  readonly repository: string
  /** SHA-1 of the commit, 40 hex digits: everything is fetched from there, whatever is pushed meanwhile. */
  readonly commit: string
  /** As the repository's card names it. */
  readonly licence?: string
  readonly files: readonly HubFile[]
}

/** Of names, sizes and digests; ten thousand files fit. */
const maxListingBytes = 8 * 1_048_576
const maxFiles = 10_000

const repositoryPattern = /^[A-Za-z0-9][\w.-]{0,95}(\/[A-Za-z0-9][\w.-]{0,95})?$/
const revisionPattern = /^[A-Za-z0-9][\w./-]{0,199}$/

const hex = (digits: number) => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`))
const size = z.int().min(0)
const listingSchema = z.object({
  sha: hex(40),
  siblings: z
    .array(
      z.object({
        rfilename: z.string().max(1_000),
        size: size.nullish(),
        blobId: hex(40).nullish(),
        lfs: z.object({ sha256: hex(64), size }).nullish(),
      }),
    )
    .max(maxFiles),
  cardData: z.object({ license: z.unknown() }).nullish(),
})
type Sibling = z.infer<typeof listingSchema>['siblings'][number]

/** `owner/name` or `owner/name@revision`; without one, the main branch. Throws USAGE. */
export function parseRepository(text: string): { readonly repository: string; readonly revision: string } {
  const [repository = '', revision = 'main', more] = text.split('@')
  if (repositoryPattern.test(repository) && revisionPattern.test(revision) && more === undefined) {
    return { repository, revision }
  }
  throw new LabelstreamError(
    'USAGE',
    `${JSON.stringify(text)} is no repository: write owner/name, or owner/name@revision with a branch, tag or commit`,
  )
}

/** A Hugging Face style model hub (https://huggingface.co/docs/hub/api). Errors as of `HubRequests`. */
export class Hub {
  readonly #requests: HubRequests

  constructor(options: HubRequestOptions) {
    this.#requests = new HubRequests(options)
  }

  get address(): string {
    return this.#requests.address
  }

  /** Files of a repository at the commit that a revision means now. Throws HUB_REFUSED for an answer that is no listing. */
  async snapshot(repository: string, revision: string): Promise<HubSnapshot> {
    const what = `model ${repository} at revision ${revision}`
    const path = `/api/models/${repository}/revision/${encodeURIComponent(revision)}?blobs=true`
    const text = await this.#requests.get(path, what, (answer, heard) => this.#listing(answer, heard, what))
    const parsed = listingSchema.safeParse(jsonOf(text))
    if (!parsed.success) {
      const issue = parsed.error.issues[0]
      throw this.#requests.refused(what, `not a listing of files: ${issue?.path.join('.')} ${issue?.message}`)
    }
    const { sha, siblings, cardData } = parsed.data
    const licence = cardData?.license
    return {
      repository,
      commit: sha,
      ...(typeof licence === 'string' ? { licence } : {}),
      files: siblings.flatMap(fileOf),
    }
  }

  /**
   * Writes a file of a snapshot to `target`, its size and digest compared while it comes. `onBytes` hears how many have
   * come. Throws MODEL_CORRUPT where they differ, FILE_UNREADABLE where it cannot be written.
   */
  async download(
    { repository, commit }: HubSnapshot,
    file: HubFile,
    target: string,
    onBytes?: (bytes: number) => void,
  ): Promise<void> {
    const what = `${file.path} of ${repository} at ${commit.slice(0, 12)}`
    const path = `/${repository}/resolve/${commit}/${file.path.split('/').map(encodeURIComponent).join('/')}`
    await this.#requests.get(path, what, async (answer, heard) => {
      const hash = hashOf(file)
      const output = await writing(target, open(target, 'w'))
      let bytes = 0
      try {
        for await (const chunk of answer.body) {
          heard()
          bytes += chunk.length
          if (bytes > file.sizeBytes) throw this.#wrong(what, `has more than the ${file.sizeBytes} bytes listed`)
          hash.update(chunk)
          await writing(target, output.writeFile(chunk))
          onBytes?.(bytes)
        }
      } finally {
        await writing(target, output.close())
      }
      if (bytes < file.sizeBytes) {
        throw this.#requests.unreachable(what, `ended after ${bytes} of ${file.sizeBytes} bytes`)
      }
      const found = hash.digest('hex')
      if (found === file.digest.hex) return
      throw this.#wrong(
        what,
        `is not the file listed: digest ${found.slice(0, 12)} instead of ${file.digest.hex.slice(0, 12)}`,
      )
    })
  }

  async #listing(answer: Answer, heard: () => void, what: string): Promise<string> {
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of answer.body) {
      heard()
      bytes += chunk.length
      if (bytes > maxListingBytes) throw this.#requests.refused(what, `a listing of more than ${maxListingBytes} bytes`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString('utf8')
  }

  #wrong(what: string, how: string): LabelstreamError {
    return new LabelstreamError('MODEL_CORRUPT', `${this.address}, ${what} ${how}`)
  }
}

/** A full disk is no fault of the hub, and asking it again does not help. */
async function writing<T>(target: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw new LabelstreamError('FILE_UNREADABLE', `${target} cannot be written: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** Without size or digest a file cannot be checked, and counts as not there. */
function fileOf({ rfilename, size, blobId, lfs }: Sibling): HubFile[] {
  if (lfs !== null && lfs !== undefined) {
    return [{ path: rfilename, sizeBytes: lfs.size, digest: { kind: 'sha256', hex: lfs.sha256 } }]
  }
  if (typeof size !== 'number' || typeof blobId !== 'string') return []
  return [{ path: rfilename, sizeBytes: size, digest: { kind: 'git', hex: blobId } }]
}

function hashOf({ sizeBytes, digest }: HubFile): Hash {
  if (digest.kind === 'sha256') return createHash('sha256')
  return createHash('sha1').update(`blob ${sizeBytes}\0`)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
