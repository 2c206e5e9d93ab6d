import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeRegistry {
  readonly url: string
  /** Method and path of every request so far. */
  readonly requests: string[]
  /** Schemas by id, as the registry's answers hold them. */
  readonly schemas: Map<number, object>
  /** Schemas by `subject/version`, for references. */
  readonly versions: Map<string, object>
  /** When set, answers instead. */
  behaviour: ((request: IncomingMessage, response: ServerResponse) => void) | undefined
  close(): Promise<void>
}

/** Confluent's registry API as far as the client uses it, in this process, for its faults. */
export async function startFakeRegistry(): Promise<FakeRegistry> {
  const server = createServer((request, response) => {
    fake.requests.push(`${String(request.method)} ${String(request.url)}`)
    if (fake.behaviour !== undefined) fake.behaviour(request, response)
    else answer(fake, request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const fake: FakeRegistry = {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    requests: [],
    schemas: new Map(),
    versions: new Map(),
    behaviour: undefined,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return fake
}

export function respond(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}

function answer(fake: FakeRegistry, request: IncomingMessage, response: ServerResponse): void {
  const path = decodeURIComponent(request.url ?? '')
  const id = /^\/schemas\/ids\/(\d+)$/.exec(path)?.[1]
  const version = /^\/subjects\/(.+)\/versions\/(\d+)$/.exec(path)
  const found =
    id === undefined
      ? fake.versions.get(`${version?.[1] ?? ''}/${version?.[2] ?? ''}`)
      : fake.schemas.get(Number(id))
  if (request.method === 'POST') {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      const registered = JSON.parse(body) as { readonly schema?: unknown }
      const same = [...fake.schemas].find(
        ([, known]) => 'schema' in known && known.schema === registered.schema,
      )
      const newId = same?.[0] ?? fake.schemas.size + 1
      fake.schemas.set(newId, registered)
      respond(response, 200, { id: newId })
    })
  } else if (found === undefined) respond(response, 404, { error_code: 40403, message: 'not found' })
  else respond(response, 200, found)
}
