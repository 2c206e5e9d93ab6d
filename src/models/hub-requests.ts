import { repeatWhile } from '../core/backoff.ts'
import { asLabelstreamError, LabelstreamError, networkProblem } from '../core/errors.ts'
import { isLoopback } from '../core/loopback.ts'

export interface HubRequestOptions {
  /** Address of the hub, such as https://huggingface.co; plain http is for loopback alone. */
  readonly url: string
  /** Sent to the hub's own origin and nowhere else. */
  readonly token?: string
  /** How long a request whose answer is a fault of the server or the network is repeated. */
  readonly retryMs?: number
  /** Longest silence of the hub, before an answer and within one. */
  readonly silenceMs?: number
  readonly signal?: AbortSignal
}

export type Answer = Response & { readonly body: ReadableStream<Uint8Array> }

const mostRedirects = 5

/**
 * GET requests to a model hub. HUB_UNREACHABLE is thrown when repeating did not help, HUB_REFUSED for a missing
 * permission or a redirection that is not followed, MODEL_NOT_FOUND for status 404, INTERRUPTED.
 */
export class HubRequests {
  readonly #base: URL
  readonly #options: HubRequestOptions

  /** Throws SETTING_INVALID for an address that is none. */
  constructor(options: HubRequestOptions) {
    this.#base = baseAddress(options.url)
    this.#options = options
  }

  /** As people are to read it: without a trailing slash. */
  get address(): string {
    return `${this.#base.origin}${this.#base.pathname.replace(/\/+$/, '')}`
  }

  /**
   * What `read` makes of the answer to GET `path`; `what` names it in errors. `heard` is to be called for each part of
   * the answer that comes. Both are repeated together until the answer is there as a whole.
   */
  get<T>(path: string, what: string, read: (answer: Answer, heard: () => void) => Promise<T>): Promise<T> {
    const { retryMs = 60_000, silenceMs = 30_000, signal } = this.#options
    const attempt = async (): Promise<T> => {
      const silence = new AbortController()
      const timer = setTimeout(() => {
        silence.abort()
      }, silenceMs)
      try {
        const signals = signal === undefined ? [silence.signal] : [silence.signal, signal]
        const answer = await this.#follow(new URL(`${this.address}${path}`), what, AbortSignal.any(signals))
        return await read(answer, () => timer.refresh())
      } catch (error) {
        if (error instanceof LabelstreamError) throw error
        if (signal?.aborted === true) throw new LabelstreamError('INTERRUPTED', 'interrupted; nothing was written')
        const problem = silence.signal.aborted ? `silent for ${silenceMs / 1_000} s` : networkProblem(error)
        throw this.unreachable(what, problem, error)
      } finally {
        clearTimeout(timer)
      }
    }
    return repeatWhile(attempt, (error) => asLabelstreamError(error).disposition === 'retry', retryMs)
  }

  /** The first answer that is no redirection. */
  async #follow(start: URL, what: string, signal: AbortSignal): Promise<Answer> {
    let url = start
    for (let redirects = 0; redirects <= mostRedirects; redirects++) {
      const { token } = this.#options
      const authorization =
        token !== undefined && url.origin === this.#base.origin ? { authorization: `Bearer ${token}` } : {}
      const answer = await fetch(url, {
        redirect: 'manual',
        headers: { 'user-agent': 'labelstream', 'accept-encoding': 'identity', ...authorization },
        signal,
      })
      const location = answer.headers.get('location')
      if (answer.status >= 300 && answer.status < 400 && location !== null) {
        await answer.body?.cancel()
        url = this.#redirected(location, url, what)
        continue
      }
      if (answer.status === 200 && answer.body !== null) return answer as Answer
      await answer.body?.cancel()
      throw this.#fault(answer.status, what)
    }
    throw this.refused(what, `more than ${mostRedirects} redirections`)
  }

  /** To https, and from a hub on loopback to loopback. */
  #redirected(location: string, from: URL, what: string): URL {
    const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined
    const isAllowed =
      to?.protocol === 'https:' || (this.#base.protocol === 'http:' && to !== undefined && isPlainLoopback(to))
    if (to === undefined || !isAllowed) throw this.refused(what, 'a redirection that does not lead to https')
    return to
  }

  #fault(status: number, what: string): LabelstreamError {
    if (status >= 500 || status === 429 || status === 408) return this.unreachable(what, `status ${status}`)
    if (status === 401 || status === 403) {
      return this.refused(
        what,
        `status ${status}: it does not exist, or reading it takes a token (models.hubTokenFile)`,
      )
    }
    if (status === 404) return new LabelstreamError('MODEL_NOT_FOUND', `${this.address} has no ${what}`)
    return this.refused(what, `status ${status}`)
  }

  unreachable(what: string, why: string, cause?: unknown): LabelstreamError {
    return new LabelstreamError('HUB_UNREACHABLE', `${this.address}, ${what}: ${why}`, { cause })
  }

  refused(what: string, why: string): LabelstreamError {
    return new LabelstreamError('HUB_REFUSED', `${this.address}, ${what}: ${why}`)
  }
}

function baseAddress(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined
  const isSafe = url?.protocol === 'https:' || (url !== undefined && isPlainLoopback(url))
  if (url !== undefined && isSafe && url.username === '' && url.password === '') return url
  // the address is not repeated: it may hold a password
  throw new LabelstreamError(
    'SETTING_INVALID',
    'models.hubUrl is not an address like https://huggingface.co (http is for loopback alone; a token has a setting of its own)',
  )
}

const isPlainLoopback = ({ protocol, hostname }: URL): boolean =>
  protocol === 'http:' && isLoopback(hostname.replace(/^\[(.*)\]$/, '$1'))
