import { LabelstreamError, messageOf, networkProblem } from '../core/errors.ts'
import { monotonicMs } from '../core/clock.ts'
import { parseAvroSchema, type AvroSchema } from './avro-schema.ts'
import { confluentHeader } from './confluent.ts'

export interface RegistryOptions {
  /** Address of the registry with its path, such as http://registry:8081 or http://host/apis/ccompat/v7. */
  readonly url: string
  /** For basic authentication; without it, or empty, none is sent. */
  readonly username?: string
  readonly password?: string
  /** Longest time for one request. */
  readonly timeoutMs?: number
  /** Most bytes of an answer that are read. */
  readonly maxResponseBytes?: number
}

/** How long an id that the registry does not know is not asked for again. */
const unknownIdMs = 30_000
/** Confluent's codes for: subject, version, schema not found. */
const notFoundCodes: ReadonlySet<unknown> = new Set([40401, 40402, 40403])
const mediaType = 'application/vnd.schemaregistry.v1+json'

/** The subject of a topic's values, by Confluent's TopicNameStrategy. */
export const valueSubject = (topic: string): string => `${topic}-value`

/**
 * A client of a schema registry with Confluent's REST API (Confluent, Apicurio, Karapace). Nothing is retried
 * here. REGISTRY_UNREACHABLE means: try again later; REGISTRY_REFUSED: the settings are wrong;
 * INPUT_UNKNOWN_SCHEMA: the message that names this schema can never be read.
 */
export class SchemaRegistry {
  readonly #base: string
  readonly #authorization: string | undefined
  readonly #secrets: readonly string[]
  readonly #timeoutMs: number
  readonly #maxResponseBytes: number
  /** Schemas never change under their id, so all are kept. */
  readonly #schemas = new Map<number, AvroSchema>()
  /** Requests under way: many messages ask once. */
  readonly #asked = new Map<number, Promise<AvroSchema>>()
  readonly #unknownIds = new Map<number, { readonly error: LabelstreamError; readonly untilMs: number }>()

  /** Throws SETTING_INVALID for an address that is none. */
  constructor(options: RegistryOptions) {
    this.#base = baseAddress(options.url)
    this.#authorization =
      options.username === undefined || options.username === ''
        ? undefined
        : `Basic ${Buffer.from(`${options.username}:${options.password ?? ''}`, 'utf8').toString('base64')}`
    const encoded = this.#authorization?.slice('Basic '.length)
    this.#secrets = [options.password ?? '', encoded ?? ''].filter((secret) => secret !== '')
    this.#timeoutMs = options.timeoutMs ?? 10_000
    this.#maxResponseBytes = options.maxResponseBytes ?? 4 * 1_048_576
  }

  /** The schema with this id when it was asked for before. */
  knownSchema(id: number): AvroSchema | undefined {
    return this.#schemas.get(id)
  }

  /** The schema with this id, from memory or GET /schemas/ids/{id}. */
  async schemaById(id: number): Promise<AvroSchema> {
    const known = this.#schemas.get(id)
    if (known !== undefined) return known
    const refused = this.#unknownIds.get(id)
    if (refused !== undefined && monotonicMs() < refused.untilMs) throw refused.error
    const asked = this.#asked.get(id) ?? this.#fetchSchema(id)
    this.#asked.set(id, asked)
    try {
      return await asked
    } finally {
      this.#asked.delete(id)
    }
  }

  /** Registers a schema (JSON text) under a subject, POST /subjects/{subject}/versions, and returns its id. */
  async register(subject: string, schema: string): Promise<number> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions`
    const answer = await this.#request('POST', path, JSON.stringify({ schema }))
    if (answer.status === 409) {
      throw this.#refused(`the schema is not compatible with the one that subject ${subject} has`)
    }
    if (answer.status !== 200) throw this.#refused(`registering under subject ${subject}: ${answer.problem}`)
    const id = answer.body['id']
    if (typeof id !== 'number' || !Number.isSafeInteger(id)) {
      throw this.#refused(`registering under subject ${subject} gave no id`)
    }
    return id
  }

  /** Registers the schema of a topic's values and returns the bytes that go in front of each of them. */
  async valueHeader(topic: string, schema: string): Promise<Buffer> {
    return confluentHeader(await this.register(valueSubject(topic), schema))
  }

  async #fetchSchema(id: number): Promise<AvroSchema> {
    const what = `schema ${String(id)}`
    try {
      const body = await this.#schemaBody(`/schemas/ids/${String(id)}`, what)
      const schema = await this.#parse(body, `${what} of the registry`, new Map(), 0)
      this.#unknownIds.delete(id)
      // far more than any topic has; whoever may register schemas must not grow this for ever
      if (this.#schemas.size >= 10_000) this.#schemas.clear()
      this.#schemas.set(id, schema)
      return schema
    } catch (error) {
      if (error instanceof LabelstreamError && error.code === 'INPUT_UNKNOWN_SCHEMA') {
        this.#rememberUnknown(id, error)
      }
      throw error
    }
  }

  async #parse(
    body: Readonly<Record<string, unknown>>,
    origin: string,
    names: Map<string, AvroSchema>,
    depth: number,
  ): Promise<AvroSchema> {
    const { schema, schemaType, references } = body
    if (schemaType !== undefined && schemaType !== 'AVRO') {
      throw new LabelstreamError(
        'INPUT_UNKNOWN_SCHEMA',
        `${origin} is not an Avro schema (${JSON.stringify(schemaType)})`,
      )
    }
    if (typeof schema !== 'string') throw this.#refused(`${origin} came without its text`)
    if (depth > 20) {
      throw new LabelstreamError('INPUT_UNKNOWN_SCHEMA', `${origin} has references nested too deeply`)
    }
    for (const reference of Array.isArray(references) ? (references as unknown[]) : []) {
      const { name, subject, version } = (reference ?? {}) as Record<string, unknown>
      if (names.has(String(name))) continue
      const what = `version ${String(version)} of subject ${String(subject)}`
      const path = `/subjects/${encodeURIComponent(String(subject))}/versions/${encodeURIComponent(String(version))}`
      await this.#parse(await this.#schemaBody(path, what), what, names, depth + 1)
    }
    return parseAvroSchema(schema, origin, names)
  }

  async #schemaBody(path: string, what: string): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.#request('GET', path)
    // another 404 comes from a proxy or a wrong path; taking it for this would bury every message
    if (answer.status === 404 && notFoundCodes.has(answer.body['error_code'])) {
      throw new LabelstreamError('INPUT_UNKNOWN_SCHEMA', `the registry at ${this.#base} has no ${what}`)
    }
    if (answer.status !== 200) {
      throw this.#refused(`asking for ${what}: ${answer.problem}; check the path of registry.url`)
    }
    return answer.body
  }

  #rememberUnknown(id: number, error: LabelstreamError): void {
    // ids come from messages, so a stream of nonsense must not grow this
    if (this.#unknownIds.size >= 1_000) this.#unknownIds.clear()
    this.#unknownIds.set(id, { error, untilMs: monotonicMs() + unknownIdMs })
  }

  /** One request. Server faults, throttling and silence throw REGISTRY_UNREACHABLE, wrong credentials REGISTRY_REFUSED. */
  async #request(
    method: 'GET' | 'POST',
    path: string,
    body?: string,
  ): Promise<{ status: number; body: Readonly<Record<string, unknown>>; problem: string }> {
    let status: number
    let text: string
    try {
      const response = await fetch(`${this.#base}${path}`, {
        method,
        // followed, the schema (and on the same host the password) would go wherever an answer says
        redirect: 'manual',
        headers: {
          accept: `${mediaType}, application/json`,
          ...(body === undefined ? {} : { 'content-type': mediaType }),
          ...(this.#authorization === undefined ? {} : { authorization: this.#authorization }),
        },
        ...(body === undefined ? {} : { body }),
        signal: AbortSignal.timeout(this.#timeoutMs),
      })
      status = response.status
      text = await limitedText(response, this.#maxResponseBytes)
    } catch (error) {
      if (error instanceof AnswerTooLarge) {
        throw this.#refused(
          `the answer to ${method} ${path} is larger than ${String(this.#maxResponseBytes)} bytes`,
        )
      }
      throw this.#unreachable(`${method} ${path}: ${networkProblem(error)}`, error)
    }
    if (status >= 500 || status === 429 || status === 408) {
      throw this.#unreachable(`${method} ${path} was answered with status ${String(status)}`)
    }
    if (status >= 300 && status < 400) {
      throw this.#refused(
        `${method} ${path} was answered with a redirection, which is not followed; set registry.url to where it leads`,
      )
    }
    if (status === 401 || status === 403) {
      throw this.#refused(`status ${String(status)}; check registry.username and registry.passwordFile`)
    }
    const json = jsonObject(text)
    if (json === undefined && status === 200) {
      throw this.#refused(`${method} ${path} was not answered with JSON; check the path of registry.url`)
    }
    const message = json?.['message']
    const problem = `status ${String(status)}${typeof message === 'string' ? `: ${this.#withoutSecrets(message)}` : ''}`
    return { status, body: json ?? {}, problem }
  }

  /** What a registry says about a request, which it may quote. */
  #withoutSecrets(message: string): string {
    return this.#secrets
      .reduce((text, secret) => text.replaceAll(secret, '…'), messageOf(message))
      .slice(0, 300)
  }

  #refused(why: string): LabelstreamError {
    return new LabelstreamError('REGISTRY_REFUSED', `the schema registry at ${this.#base}: ${why}`)
  }

  #unreachable(why: string, cause?: unknown): LabelstreamError {
    return new LabelstreamError('REGISTRY_UNREACHABLE', `the schema registry at ${this.#base}: ${why}`, {
      cause,
    })
  }
}

class AnswerTooLarge extends Error {}

function baseAddress(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:'
  if (url === undefined || !isHttp || url.username !== '' || url.password !== '') {
    // the address is not repeated: it may hold a password
    throw new LabelstreamError(
      'SETTING_INVALID',
      'registry.url is not an address like http://registry:8081 (user and password have settings of their own)',
    )
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

async function limitedText(response: Response, maxBytes: number): Promise<string> {
  if (response.body === null) return ''
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    sizeBytes += chunk.length
    // leaving the loop cancels the rest
    if (sizeBytes > maxBytes) throw new AnswerTooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function jsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
