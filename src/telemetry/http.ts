import { timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sha256 } from '../core/digest.ts'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { LivePage } from './live-page.ts'
import type { Metrics } from './metrics.ts'

export interface HttpOptions {
  readonly host: string
  readonly port: number
  readonly metrics: Metrics
  /** Null when ready, else what is still missing, in a few words. */
  readonly notReady: () => string | null
  /**
   * What `/metrics` asks for as a bearer token, and `/` as the password of any user; without it anyone who can connect may
   * read them.
   */
  readonly token?: string | undefined
}

/** A scraper, a few probes and a person at a time; more is somebody holding connections open. */
const maxConnections = 128
/** For headers and for the whole request. A silent connection is closed after this long too. */
const requestTimeoutMs = 5_000
const maxHeaderBytes = 8_192

/** The page has styles of its own, and nothing else may run or be loaded. */
const pageHeaders = {
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'referrer-policy': 'no-referrer',
}

/**
 * `/` (a page for people), `/metrics`, `/healthz` (the process answers) and `/readyz` (it can do its work now). Health and readiness need no
 * token: probes bring none, and they say nothing about the data.
 */
export class HttpSurface {
  readonly #server: Server
  readonly #host: string
  readonly #live: LivePage

  private constructor(server: Server, host: string, live: LivePage) {
    this.#server = server
    this.#host = host
    this.#live = live
  }

  /** Listens. Throws SETTING_INVALID when the address cannot be had. */
  static async start(options: HttpOptions): Promise<HttpSurface> {
    const live = new LivePage(options)
    const server = createServer(
      {
        requestTimeout: requestTimeoutMs,
        headersTimeout: requestTimeoutMs,
        connectionsCheckingInterval: 1_000,
        maxHeaderSize: maxHeaderBytes,
      },
      (request, response) => {
        answer(request, response, options, live).catch(() => {
          // a scrape must not end the process that it watches
          response.destroy()
        })
      },
    )
    server.maxConnections = maxConnections
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        live.close()
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
    return new HttpSurface(server, options.host, live)
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo
    return `http://${this.#host.includes(':') ? `[${this.#host}]` : this.#host}:${port}`
  }

  async close(): Promise<void> {
    this.#live.close()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: HttpOptions,
  live: LivePage,
): Promise<void> {
  const send = (status: number, type: string, body: string, headers: Record<string, string> = {}): void => {
    response.writeHead(status, {
      'content-type': type,
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      ...headers,
    })
    response.end(request.method === 'HEAD' ? undefined : body)
  }
  const text = 'text/plain; charset=utf-8'
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    // what it may send along is not read
    send(405, text, 'only GET\n', { allow: 'GET, HEAD', connection: 'close' })
    return
  }
  const [path = '/'] = (request.url ?? '/').split('?', 1)
  switch (path) {
    case '/metrics':
      if (!mayRead(request, options.token)) {
        send(401, text, 'a bearer token is needed\n', { 'www-authenticate': 'Bearer realm="labelstream"' })
        return
      }
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
      if (!mayRead(request, options.token)) {
        const challenge = { 'www-authenticate': 'Basic realm="labelstream", charset="UTF-8"' }
        send(401, text, 'the token of http.tokenFile is needed as password\n', challenge)
        return
      }
      send(200, 'text/html; charset=utf-8', await live.html(), pageHeaders)
      return
    default:
      send(404, text, 'not found: / /metrics /healthz /readyz\n')
  }
}

/** Digests are compared, so that neither the time nor a difference in length says anything about the token. */
function mayRead(request: IncomingMessage, token: string | undefined): boolean {
  if (token === undefined) return true
  return timingSafeEqual(Buffer.from(sha256(givenToken(request))), Buffer.from(sha256(token)))
}

/** A scraper sends it as bearer, a browser as the password that its user was asked for. */
function givenToken(request: IncomingMessage): string {
  const [, scheme = '', value = ''] =
    /^(Bearer|Basic) +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? []
  if (scheme.toLowerCase() !== 'basic') return value
  const credentials = Buffer.from(value, 'base64').toString('utf8')
  return credentials.slice(credentials.indexOf(':') + 1)
}
