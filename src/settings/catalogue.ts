import { z } from 'zod'
import { setting, type Declaration } from './declare.ts'

const topic = z
  .string()
  .regex(/^[\w.-]{1,249}$/, 'a topic name: letters, digits, dot, underscore and hyphen, at most 249')
const path = z.string()
const pointer = z.string().regex(/^(\/[^/]*)*$/, 'a JSON pointer such as /text')
const withoutUser = (address: string): boolean =>
  !URL.canParse(address) || (new URL(address).username === '' && new URL(address).password === '')
const registryAddress = z
  .union([z.literal(''), z.url({ protocol: /^https?$/ })])
  .refine(
    withoutUser,
    'an address without user and password: they go into registry.username and registry.passwordFile',
  )
const hubAddress = z
  .url({ protocol: /^https?$/ })
  .refine(withoutUser, 'an address without user and password: a token goes into models.hubTokenFile')
const milliseconds = (min: number, max: number) => z.int().min(min).max(max)
const megabyte = 1_048_576

/** Every setting. The reference page, the help, the environment names and the type are made from this table. */
export const catalogue = {
  'input.topic': setting(topic, { default: 'texts', help: 'Topic that the texts come from.' }),
  'input.format': setting(z.enum(['auto', 'text', 'json', 'avro']), {
    default: 'auto',
    help: 'How a message value is read. auto looks at its first bytes.',
  }),
  'input.textPointer': setting(pointer, {
    default: '/text',
    help: 'Where the text stands in a JSON or Avro value (RFC 6901).',
  }),
  'input.idPointer': setting(pointer, {
    default: '/id',
    help: 'Where the id stands in a JSON or Avro value; absent: the key, else topic/partition/offset.',
  }),
  'input.maxTextBytes': setting(
    z
      .int()
      .min(1)
      .max(16 * megabyte),
    {
      default: 100_000,
      help: 'Largest text in UTF-8 bytes; larger ones are dead letters. Checked before tokenising.',
    },
  ),
  'input.maxMessageBytes': setting(
    z
      .int()
      .min(1)
      .max(64 * megabyte),
    {
      default: 1_048_576,
      help: 'Largest message value in bytes; larger ones are dead letters.',
    },
  ),
  'input.maxHeaderBytes': setting(z.int().min(1).max(megabyte), {
    default: 65_536,
    help: "Largest key and headers of a message together in bytes; larger ones are dead letters. The score carries them on, and must fit into the output topic's max.message.bytes.",
  }),
  'input.startAt': setting(z.enum(['earliest', 'latest']), {
    default: 'earliest',
    help: 'Where a group without committed offsets starts.',
  }),
  'labels.topic': setting(topic, { default: 'labels', help: 'Topic of labelled texts for training.' }),
  'labels.absent': setting(z.enum(['negative', 'unknown']), {
    default: 'negative',
    help: 'What a label is that a soft-label map does not name.',
  }),
  'output.topic': setting(topic, { default: 'scores', help: 'Topic that the score events go to.' }),
  'output.compression': setting(z.enum(['none', 'gzip']), {
    default: 'none',
    help: 'Compression of written record batches.',
  }),
  'deadLetters.topic': setting(topic, {
    default: 'dead-letters',
    help: 'Topic of messages that can never be scored.',
  }),
  group: setting(z.string().min(1).max(200), { default: 'labelstream', help: 'Kafka consumer group.' }),
  model: setting(z.string().min(1), { default: 'advice', help: 'Model: name, name@version or a folder.' }),
  'models.folder': setting(path, {
    default: 'models',
    help: "Folder of the models. When the default does not exist here, the program's own models are used.",
  }),
  'models.pollMs': setting(milliseconds(0, 3_600_000), {
    default: 1_000,
    help: 'How often `run` looks whether another version of its model was promoted, to serve that one; 0: never. A model named with its version stays.',
  }),
  'models.hubUrl': setting(hubAddress, {
    default: 'https://huggingface.co',
    help: 'Hub that `models pull` fetches from: Hugging Face or one with its API. https; plain http for loopback alone.',
  }),
  'models.hubTokenFile': setting(path, {
    default: '',
    help: 'File with a token for private models; it goes to the hub alone, never to where a download is redirected.',
  }),
  delivery: setting(z.enum(['at-least-once', 'exactly-once']), {
    default: 'at-least-once',
    help: 'Promise towards readers of the scores.',
  }),
  'exactlyOnce.lanes': setting(z.int().min(1).max(1_000), {
    default: 8,
    help: 'Partitions are shared out by lanes (partition modulo lanes), one transaction at a time each; more members than lanes have nothing to do. Fixed for the life of a group.',
  }),
  'exactlyOnce.transactionMs': setting(milliseconds(1, 10_000), {
    default: 100,
    help: 'Longest time that outcomes wait for others to share their transaction.',
  }),
  'exactlyOnce.transactionMessages': setting(z.int().min(1).max(100_000), {
    default: 2_000,
    help: 'So many outcomes make a transaction without waiting.',
  }),
  'batch.budgetTokens': setting(z.int().min(0).max(1_048_576), {
    default: 1_024,
    help: 'Most padded tokens (rows x longest row) in one batch. Small is fast on CPU, large on GPU. 0 takes the fastest of a few that the first start of a stream with a model tries for a second; elsewhere 0 is 1024.',
  }),
  'batch.maxRows': setting(z.int().min(1).max(65_536), { default: 256, help: 'Most windows in one batch.' }),
  'batch.maxWaitMs': setting(milliseconds(0, 10_000), {
    default: 20,
    help: 'Longest time a text waits for its batch to fill. Lower it for latency, raise it for throughput.',
  }),
  'text.maxTokens': setting(z.int().min(0).max(8_192), {
    default: 0,
    help: "Longest window in tokens; 0 takes the model's own.",
  }),
  'text.maxWindows': setting(z.int().min(1).max(1_000), {
    default: 4,
    help: 'Most overlapping windows of one long text; what is beyond is cut and the event says truncated.',
  }),
  'text.strideTokens': setting(z.int().min(0).max(4_096), {
    default: 32,
    help: 'Tokens that neighbouring windows share.',
  }),
  'text.threads': setting(z.int().min(1).max(256), { default: 1, help: 'Worker threads that tokenise.' }),
  'runtime.provider': setting(z.enum(['auto', 'cpu', 'cuda', 'webgpu', 'dml', 'coreml']), {
    default: 'auto',
    help: 'ONNX Runtime execution provider. auto takes a GPU where one works, else the CPU.',
  }),
  'runtime.precision': setting(z.enum(['auto', 'fp32', 'int8', 'fp16']), {
    default: 'auto',
    help: 'Arithmetic of the encoder.',
  }),
  'runtime.graph': setting(z.enum(['plain', 'joined', 'packed']), {
    default: 'plain',
    help: "What an encoder's graph is made of on CUDA: plain is ONNX's own operators, joined ONNX Runtime's for BERT, packed the same without padding. What cannot be started is plainer; elsewhere it is always plain.",
  }),
  'runtime.processes': setting(z.int().min(0).max(256), {
    default: 0,
    help: 'Inference processes of a stream. 0 takes, on a CPU and with runtime.threads=0, one of one thread a core, as many as fit into a quarter of the memory; else one.',
  }),
  'runtime.threads': setting(z.int().min(0).max(1_024), {
    default: 0,
    help: 'Threads of one inference process; 0 shares the cores out among the processes.',
  }),
  'runtime.plan': setting(z.enum(['rule', 'measured']), {
    default: 'rule',
    help: 'What decides about processes and threads that are 0: the rule above, or a measurement of some seconds at the first start of a stream with a model, which later starts remember.',
  }),
  'runtime.deadlineMs': setting(milliseconds(100, 3_600_000), {
    default: 60_000,
    help: 'A batch that takes longer counts as hung: the inference process is killed and replaced.',
  }),
  'stream.maxInFlightBytes': setting(
    z
      .int()
      .min(65_536)
      .max(4_096 * megabyte),
    {
      default: 2 * megabyte,
      help: 'Most bytes of messages read and not yet finished; above it the partitions are paused.',
    },
  ),
  'stream.cacheEntries': setting(z.int().min(0).max(10_000_000), {
    default: 10_000,
    help: 'Texts whose scores are kept, so that identical ones are scored once; 0 scores every text.',
  }),
  'stream.commitIntervalMs': setting(milliseconds(10, 60_000), {
    default: 1_000,
    help: 'How often finished offsets are committed.',
  }),
  'stream.drainMs': setting(milliseconds(100, 600_000), {
    default: 8_000,
    help: 'On SIGTERM: how long texts in flight may take to finish. What is left is read again later.',
  }),
  'registry.url': setting(registryAddress, {
    default: '',
    help: 'Confluent-compatible schema registry. Empty: Avro single-object encoding, no registry. For https with a private authority set NODE_EXTRA_CA_CERTS to its PEM file.',
  }),
  'registry.username': setting(z.string(), { default: '', help: 'User name for the registry.' }),
  'registry.passwordFile': setting(path, {
    default: '',
    help: 'File that holds the password for the registry.',
  }),
  'http.host': setting(z.string().min(1), {
    default: '127.0.0.1',
    help: 'Address that the live page, metrics and health are served on. Loopback unless you say otherwise.',
  }),
  'http.port': setting(z.int().min(0).max(65_535), {
    default: 9_464,
    help: 'Port for the live page, metrics and health; 0 takes a free one.',
  }),
  'http.tokenFile': setting(path, {
    default: '',
    help: 'File with a token that metrics (Authorization: Bearer) and the live page (as password of any user) ask for. Health and readiness stay open for probes.',
  }),
  'log.level': setting(z.enum(['debug', 'info', 'warn', 'error']), {
    default: 'info',
    help: 'Least level that is logged.',
  }),
  'log.format': setting(z.enum(['auto', 'json', 'pretty']), {
    default: 'auto',
    help: 'Log lines on stderr. auto: pretty on a terminal, else JSON.',
  }),
  'kafka.brokers': setting(
    z.array(z.string().regex(/^[^\s:,]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/, 'host:port')).min(1),
    {
      default: ['127.0.0.1:9092'],
      env: 'KAFKA_BROKERS',
      help: 'Bootstrap brokers, host:port separated by commas.',
    },
  ),
  'kafka.clientId': setting(z.string().min(1), {
    default: 'labelstream',
    env: 'KAFKA_CLIENT_ID',
    help: 'Client id towards the brokers.',
  }),
  'kafka.securityProtocol': setting(z.enum(['auto', 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL']), {
    default: 'auto',
    env: 'KAFKA_SECURITY_PROTOCOL',
    help: 'auto: TLS when a CA or client certificate is given, SASL when a mechanism is given.',
  }),
  'kafka.ssl.caFile': setting(path, {
    default: '',
    env: 'KAFKA_SSL_CA_FILE',
    help: 'PEM file of the certificate authority.',
  }),
  'kafka.ssl.certFile': setting(path, {
    default: '',
    env: 'KAFKA_SSL_CERT_FILE',
    help: 'PEM file of the client certificate.',
  }),
  'kafka.ssl.keyFile': setting(path, {
    default: '',
    env: 'KAFKA_SSL_KEY_FILE',
    help: 'PEM file of the client key.',
  }),
  'kafka.ssl.keyPasswordFile': setting(path, {
    default: '',
    env: 'KAFKA_SSL_KEY_PASSWORD_FILE',
    help: 'File that holds the password of the client key.',
  }),
  'kafka.ssl.checkHostname': setting(z.boolean(), {
    default: true,
    env: 'KAFKA_SSL_CHECK_HOSTNAME',
    help: "Whether the broker's certificate must name the host.",
  }),
  'kafka.sasl.mechanism': setting(z.enum(['', 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']), {
    default: '',
    env: 'KAFKA_SASL_MECHANISM',
    help: 'SASL mechanism; empty for none.',
  }),
  'kafka.sasl.username': setting(z.string(), {
    default: '',
    env: 'KAFKA_SASL_USERNAME',
    help: 'SASL user name.',
  }),
  'kafka.sasl.password': setting(z.string(), {
    default: '',
    env: 'KAFKA_SASL_PASSWORD',
    help: 'SASL password. Prefer the file.',
    secret: true,
  }),
  'kafka.sasl.passwordFile': setting(path, {
    default: '',
    env: 'KAFKA_SASL_PASSWORD_FILE',
    help: 'File that holds the SASL password.',
  }),
  'kafka.sasl.oauthTokenFile': setting(path, {
    default: '',
    env: 'KAFKA_SASL_OAUTH_TOKEN_FILE',
    help: 'File with the current token for OAUTHBEARER; read again at each log-in, so whatever renews tokens replaces the file.',
  }),
  'kafka.connectionTimeoutMs': setting(milliseconds(100, 600_000), {
    default: 5_000,
    env: 'KAFKA_CONNECTION_TIMEOUT_MS',
    help: 'Longest wait for a connection to a broker.',
  }),
  'kafka.requestTimeoutMs': setting(milliseconds(1_000, 600_000), {
    default: 30_000,
    env: 'KAFKA_REQUEST_TIMEOUT_MS',
    help: "Longest wait for a broker's answer.",
  }),
  'kafka.sessionTimeoutMs': setting(milliseconds(6_000, 1_800_000), {
    default: 30_000,
    env: 'KAFKA_SESSION_TIMEOUT_MS',
    help: 'A member that is silent for longer loses its partitions.',
  }),
} as const satisfies Record<string, Declaration>

export type SettingKey = keyof typeof catalogue

/** The effective settings, by key. */
export type Settings = {
  readonly [Key in SettingKey]: (typeof catalogue)[Key] extends Declaration<infer Schema>
    ? z.output<Schema>
    : never
}

/** The table with each row's exact type forgotten, for code that walks over all of it. */
export const declarations: Readonly<Record<string, Declaration>> = catalogue

export const settingKeys = Object.keys(catalogue) as readonly SettingKey[]
