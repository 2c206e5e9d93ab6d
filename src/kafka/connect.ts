import { type ConnectionOptions, createSecureContext } from 'node:tls'
import kafkajs, { type Kafka as KafkaJs, type KafkaConfig, type SASLOptions } from 'kafkajs'
import { sleep, withDeadline } from '../core/clock.ts'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { readSecret, readSettingFile } from '../core/files.ts'
import { registerCodecs } from './codecs.ts'
import { kafkaError, type KafkaErrorContext } from './errors.ts'
import { restIdleQueues } from './request-queues.ts'

export type KafkaLogLevel = 'error' | 'warn' | 'info' | 'debug'
export type KafkaLog = (
  level: KafkaLogLevel,
  message: string,
  fields: Readonly<Record<string, unknown>>,
) => void

export interface SslOptions {
  /** PEM file with the authorities to trust, instead of Node's own list. */
  readonly caFile?: string | undefined
  /** PEM files of our own certificate and key, where the broker asks clients for one. */
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
  readonly keyPassphrase?: string | undefined
  /** false accepts a trusted certificate that names another host. Default true. */
  readonly checkHostname?: boolean | undefined
  /** false trusts any certificate: for trials only. Default true. */
  readonly verify?: boolean | undefined
}

export type SaslOptions = PasswordSasl | TokenSasl

export interface PasswordSasl {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  /** One of the two. A file's trailing line break is not part of the password. */
  readonly password?: string | undefined
  readonly passwordFile?: string | undefined
}

export interface TokenSasl {
  readonly mechanism: 'oauthbearer'
  /** Holds the current token. Read at each log-in: whatever renews tokens writes a new file. */
  readonly tokenFile: string
}

export interface KafkaOptions {
  /** host:port, at least one. */
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly ssl?: SslOptions | undefined
  readonly sasl?: SaslOptions | undefined
  /** How long one attempt to connect may take. Default 3,000. */
  readonly connectionTimeoutMs?: number | undefined
  /** How long a broker may take to answer. Default 30,000. */
  readonly requestTimeoutMs?: number | undefined
  /** How long the first connection may take in all before BROKER_UNREACHABLE. Default 12,000. */
  readonly firstConnectTimeoutMs?: number | undefined
  /** Hears what kafkajs has to say; never keys, values or passwords. */
  readonly onLog?: KafkaLog | undefined
}

/** Who to talk to and how. It holds no connection: readers, writers and admin calls open their own. */
export class KafkaClient {
  readonly options: KafkaOptions
  readonly #config: KafkaConfig

  constructor(options: KafkaOptions) {
    this.options = options
    this.#config = kafkaConfig(options)
    registerCodecs()
    restIdleQueues()
  }

  /** A fresh kafkajs client. Not shared: consumers of one kafkajs client share a cache of committed offsets. */
  open(): KafkaJs {
    return new kafkajs.Kafka(this.#config)
  }

  /**
   * Settles with one call of kafkajs that asks a broker something, or rejects with BROKER_UNREACHABLE when it has had
   * time to connect, to look the broker up and to be answered: kafkajs leaves calls unsettled when a connection ends at
   * the wrong moment. `giveUp` then throws away what it was called on: the call may still be carried out, and must not
   * be after later ones.
   */
  async answered<T>(
    call: Promise<T>,
    doing: string,
    giveUp: (fault: LabelstreamError) => void = () => undefined,
  ): Promise<T> {
    const { connectionTimeoutMs, requestTimeoutMs } = withTimeouts(this.options)
    const patienceMs = 2 * (connectionTimeoutMs + requestTimeoutMs)
    return withDeadline(call, patienceMs, () => {
      const fault = new LabelstreamError(
        'BROKER_UNREACHABLE',
        `no answer from ${this.options.brokers.join(', ')} within ${patienceMs / 1000} s (${doing})`,
      )
      giveUp(fault)
      return fault
    })
  }

  log(level: KafkaLogLevel, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.options.onLog?.(level, message, fields)
  }

  /** kafkajs's error as ours. */
  error(error: unknown, context: Omit<KafkaErrorContext, 'brokers'>): LabelstreamError {
    return kafkaError(error, { ...context, brokers: this.options.brokers })
  }

  /**
   * Connects a kafkajs producer, consumer or admin client within `firstConnectTimeoutMs`.
   * Throws BROKER_UNREACHABLE, AUTHENTICATION_FAILED or TLS_FAILED; then nothing stays open.
   */
  async connect(
    peer: { connect(): Promise<void>; disconnect(): Promise<void> },
    doing: string,
  ): Promise<void> {
    const timeoutMs = this.options.firstConnectTimeoutMs ?? 12_000
    const brokers = this.options.brokers.join(', ')
    try {
      await withDeadline(
        peer.connect(),
        timeoutMs,
        () =>
          new LabelstreamError(
            'BROKER_UNREACHABLE',
            `no answer from ${brokers} within ${timeoutMs / 1000} s (${doing}): check kafka.brokers (KAFKA_BROKERS)`,
          ),
      )
    } catch (error) {
      await quietly(peer.disconnect())
      throw this.error(error, { doing })
    }
  }
}

/** Throws SETTING_INVALID or FILE_UNREADABLE, naming the setting. Opens no connection. */
export function connectKafka(options: KafkaOptions): KafkaClient {
  if (options.brokers.length === 0) {
    throw new LabelstreamError(
      'SETTING_INVALID',
      'kafka.brokers is empty: name at least one broker as host:port',
    )
  }
  return new KafkaClient(options)
}

/** How long something that is being thrown away may take to go. */
const goneTimeoutMs = 4_000

/**
 * Waits for a promise whose failure does not matter, and not for long: something that is being thrown away. kafkajs
 * waits for answers before it disconnects, and some never come.
 */
export async function quietly(work: Promise<unknown>, timeoutMs = goneTimeoutMs): Promise<void> {
  try {
    await withDeadline(work, timeoutMs, () => new Error('it does not let go'))
  } catch {
    // it was to be closed; what it says on the way out changes nothing
  }
}

const withTimeouts = ({ connectionTimeoutMs = 3_000, requestTimeoutMs = 30_000 }: KafkaOptions) => ({
  connectionTimeoutMs,
  requestTimeoutMs,
})

function kafkaConfig(options: KafkaOptions): KafkaConfig {
  const ssl = options.ssl === undefined ? undefined : tlsOptions(options.ssl)
  const sasl = options.sasl === undefined ? undefined : saslOptions(options.sasl)
  const { connectionTimeoutMs, requestTimeoutMs } = withTimeouts(options)
  return {
    brokers: [...options.brokers],
    clientId: options.clientId,
    connectionTimeout: connectionTimeoutMs,
    authenticationTimeout: 10_000,
    requestTimeout: requestTimeoutMs,
    // short, but enough to try each broker: whoever calls has an own loop for what must go on for ever
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: Math.max(3, options.brokers.length) },
    logLevel: kafkajs.logLevel.INFO,
    logCreator: () => (entry) => {
      const level = logLevels[entry.level]
      if (level === undefined || options.onLog === undefined) return
      options.onLog(level, entry.log.message, logFields(entry.namespace, entry.log))
    },
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl }),
  }
}

/** One step milder than kafkajs's own: what it calls an error it tries again, and what stays is thrown. */
const logLevels: Readonly<Record<number, KafkaLogLevel>> = {
  [kafkajs.logLevel.ERROR]: 'warn',
  [kafkajs.logLevel.WARN]: 'warn',
  [kafkajs.logLevel.INFO]: 'debug',
}

/** Only what names a place or a state: kafkajs adds whole errors and payloads to some of its lines. */
const loggedFields = [
  'broker',
  'groupId',
  'memberId',
  'topic',
  'partition',
  'error',
  'retryCount',
  'retryTime',
] as const

function logFields(namespace: string, log: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const fields: Record<string, unknown> = { kafkajs: namespace }
  for (const name of loggedFields) {
    const value = log[name]
    if (typeof value === 'string' || typeof value === 'number') fields[name] = value
  }
  return fields
}

function tlsOptions(ssl: SslOptions): ConnectionOptions {
  const ca = ssl.caFile === undefined ? undefined : readPem('kafka.ssl.caFile', ssl.caFile)
  const cert = ssl.certFile === undefined ? undefined : readPem('kafka.ssl.certFile', ssl.certFile)
  const key = ssl.keyFile === undefined ? undefined : readPem('kafka.ssl.keyFile', ssl.keyFile)
  if ((cert === undefined) !== (key === undefined)) {
    throw new LabelstreamError(
      'SETTING_INVALID',
      'kafka.ssl.certFile and kafka.ssl.keyFile belong together: set both or neither',
    )
  }
  const files = {
    ...(ca === undefined ? {} : { ca: [ca] }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(ssl.keyPassphrase === undefined ? {} : { passphrase: ssl.keyPassphrase }),
  }
  checkTlsFiles(files)
  return {
    rejectUnauthorized: ssl.verify ?? true,
    ...files,
    ...(ssl.checkHostname === false ? { checkServerIdentity: () => undefined } : {}),
  }
}

/** Finds a wrong key password or a key of another certificate now, rather than at every attempt to connect. */
function checkTlsFiles(files: ConnectionOptions): void {
  try {
    createSecureContext(files)
  } catch (error) {
    throw new LabelstreamError(
      'SETTING_INVALID',
      `the files of kafka.ssl cannot be used together (${messageOf(error)}): check caFile, certFile, keyFile and keyPasswordFile`,
      { cause: error },
    )
  }
}

function saslOptions(sasl: SaslOptions): SASLOptions {
  if (sasl.mechanism === 'oauthbearer') {
    const { tokenFile } = sasl
    // once now, so that a file that is not there is told at the start
    readToken(tokenFile)
    return {
      mechanism: sasl.mechanism,
      oauthBearerProvider: async () => ({ value: await currentToken(tokenFile) }),
    }
  }
  const password =
    sasl.password ??
    (sasl.passwordFile === undefined ? undefined : readSecret('kafka.sasl.passwordFile', sasl.passwordFile))
  if (password === undefined) {
    throw new LabelstreamError(
      'SETTING_INVALID',
      'kafka.sasl needs a password: set kafka.sasl.passwordFile (KAFKA_SASL_PASSWORD_FILE)',
    )
  }
  return { mechanism: sasl.mechanism, username: sasl.username, password }
}

/** While it is being replaced, the file may be gone or half written for a moment. */
async function currentToken(path: string): Promise<string> {
  for (let attempt = 1; attempt < 10; attempt++) {
    try {
      return readToken(path)
    } catch {
      await sleep(200)
    }
  }
  return readToken(path)
}

function readToken(path: string): string {
  const setting = 'kafka.sasl.oauthTokenFile'
  if (path === '') {
    throw new LabelstreamError(
      'SETTING_INVALID',
      `${setting} is empty: OAUTHBEARER needs a file with the current token (KAFKA_SASL_OAUTH_TOKEN_FILE)`,
    )
  }
  const token = readSettingFile(setting, path).trim()
  // RFC 6750, 2.1. The bytes go into a SASL message whose parts end with 0x01: nothing else may be in them
  if (/^[A-Za-z0-9\-._~+/]+=*$/.test(token)) return token
  throw new LabelstreamError('FILE_UNREADABLE', `${setting}: ${path} does not hold a bearer token`)
}

function readPem(setting: string, path: string): string {
  const text = readSettingFile(setting, path)
  if (text.includes('-----BEGIN ')) return text
  throw new LabelstreamError(
    'FILE_UNREADABLE',
    `${setting} ${path} is not a PEM file: it has no -----BEGIN line`,
  )
}
