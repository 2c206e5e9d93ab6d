import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import type { Metrics } from './metrics.ts'

export interface HttpOptions {
  readonly host: string
  readonly port: number
  readonly metrics: Metrics
  /** Null when ready, else what is still missing, in a few words. */
  readonly notReady: () => string | null
}

/** `/metrics`, `/healthz` (the process answers) and `/readyz` (it can do its work now). */
export class HttpSurface {
  readonly #server: Server
  readonly #host: string

  private constructor(server: Server, host: string) {
    this.#server = server
    this.#host = host
  }

  /** Listens. Throws SETTING_INVALID when the address cannot be had. */
  static async start(options: HttpOptions): Promise<HttpSurface> {
    const server = createServer(
      { requestTimeout: 10_000, headersTimeout: 10_000, maxHeaderSize: 8_192 },
      (request, response) => {
        void answer(request, response, options)
      },
    )
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        const address = `${options.host}:${options.port}`
        reject(
          new LabelstreamError(
            'SETTING_INVALID',
            `settings http.host and http.port: cannot listen on ${address} (${messageOf(error)}); take another port, or 0 for a free one`,
            { cause: error },
          ),
        )
      })
      server.listen(options.port, options.host, resolve)
    })
    return new HttpSurface(server, options.host)
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo
    return `http://${this.#host.includes(':') ? `[${this.#host}]` : this.#host}:${port}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: HttpOptions,
): Promise<void> {
  const send = (status: number, type: string, body: string): void => {
    response.writeHead(status, {
      'content-type': type,
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    })
    response.end(request.method === 'HEAD' ? undefined : body)
  }
  const text = 'text/plain; charset=utf-8'
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    send(405, text, 'only GET\n')
    return
  }
  switch (new URL(request.url ?? '/', 'http://localhost').pathname) {
    case '/metrics':
      send(200, options.metrics.registry.contentType, await options.metrics.registry.metrics())
      return
    case '/healthz':
      send(200, text, 'alive\n')
      return
    case '/readyz': {
      const missing = options.notReady()
      send(missing === null ? 200 : 503, text, missing === null ? 'ready\n' : `not ready: ${missing}\n`)
      return
    }
    case '/':
      send(200, text, 'labelstream: /metrics /healthz /readyz\n')
      return
    default:
      send(404, text, 'not found: /metrics /healthz /readyz\n')
  }
}
