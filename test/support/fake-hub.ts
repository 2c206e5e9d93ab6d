import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile, readdir } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

/** One file of a repository's listing, as the hub's API has it. */
export interface Listed {
  rfilename: string
  size: number
  blobId: string
  lfs?: { sha256: string; size: number }
}

export interface HubRequest {
  readonly path: string
  readonly authorization: string | undefined
}

export interface FakeHub {
  readonly url: string
  readonly requests: HubRequest[]
  /** What revisions mean; may be changed while it runs. */
  readonly revisions: Map<string, string>
  readonly commit: string
  readonly contents: Map<string, Buffer>
  readonly listing: Listed[]
  card: object | undefined
  /** Answers instead when it returns true. */
  behaviour: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined
  close(): Promise<void>
}

export const fakeRepository = 'someone/classifier'

/** The API of a model hub with one repository, in this process: a folder's files, those of 1 KB and more by LFS. */
export async function startFakeHub(folder: string): Promise<FakeHub> {
  const contents = new Map<string, Buffer>()
  for (const name of await readdir(folder)) contents.set(name, await readFile(join(folder, name)))
  const commit = createHash('sha1')
    .update([...contents.keys()].join('\n'))
    .digest('hex')
  const server = createServer((request, response) => {
    hub.requests.push({ path: request.url ?? '', authorization: request.headers.authorization })
    if (hub.behaviour?.(request, response) !== true) answer(hub, request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const hub: FakeHub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    revisions: new Map([
      ['main', commit],
      [commit, commit],
    ]),
    commit,
    contents,
    listing: [...contents].map(([name, bytes]) => listed(name, bytes)),
    card: { license: 'mit' },
    behaviour: undefined,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return hub
}

export function listed(rfilename: string, bytes: Buffer): Listed {
  const size = bytes.length
  const blobId = createHash('sha1').update(`blob ${size}\0`).update(bytes).digest('hex')
  if (size < 1_024) return { rfilename, size, blobId }
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  // with LFS the blob is a pointer, whose digest says nothing about the file
  return { rfilename, size, blobId: '0'.repeat(40), lfs: { sha256, size } }
}

function answer(hub: FakeHub, { url }: IncomingMessage, response: ServerResponse): void {
  const path = decodeURIComponent(url ?? '')
  const asked = /^\/api\/models\/(.+)\/revision\/([^?]+)\?blobs=true$/.exec(path)
  if (asked?.[1] === fakeRepository) {
    const sha = hub.revisions.get(asked[2] ?? '')
    if (sha === undefined) return end(response, 404)
    return end(
      response,
      200,
      JSON.stringify({ id: fakeRepository, sha, siblings: hub.listing, cardData: hub.card }),
    )
  }
  const start = `/${fakeRepository}/resolve/${hub.commit}/`
  const bytes = path.startsWith(start) ? hub.contents.get(path.slice(start.length)) : undefined
  return bytes === undefined ? end(response, 404) : end(response, 200, bytes)
}

export function end(response: ServerResponse, status: number, body: string | Buffer = ''): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body) })
  response.end(body)
}
