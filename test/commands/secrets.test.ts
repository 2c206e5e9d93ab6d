import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { waitUntil } from '../../src/core/clock.ts'
import { createTopics } from '../../src/kafka/admin.ts'
import { connectKafka, type KafkaClient } from '../../src/kafka/connect.ts'
import { type LocalKafka, startLocalKafka } from '../../src/kafka/local-broker.ts'
import { readRange } from '../../src/kafka/read-range.ts'
import { Writer } from '../../src/kafka/writer.ts'
import { type CliRun, runCli, startCli } from '../support/cli.ts'
import { type FakeRegistry, respond, startFakeRegistry } from '../support/fake-registry.ts'

const registryPassword = 'canary-registry-password'
const httpToken = 'canary-http-token'

let kafka: LocalKafka
let client: KafkaClient
let registry: FakeRegistry
let folder: string
let env: Record<string, string>
/** Nothing that is printed or served may hold one of these. */
let secrets: string[]

const secretFile = async (name: string, content: string): Promise<string> => {
  const path = join(folder, name)
  await writeFile(path, content)
  return path
}

before(async () => {
  kafka = await startLocalKafka({ security: 'sasl_ssl' })
  registry = await startFakeRegistry()
  folder = await mkdtemp(join(tmpdir(), 'labelstream-secrets-'))
  const credentials = kafka.credentials
  assert.ok(credentials !== undefined)
  const { users, client: own } = credentials
  env = {
    KAFKA_BROKERS: kafka.brokers.join(','),
    KAFKA_SECURITY_PROTOCOL: 'SASL_SSL',
    KAFKA_SSL_CA_FILE: credentials.caFile,
    KAFKA_SSL_CERT_FILE: own.certFile,
    KAFKA_SSL_KEY_FILE: own.keyFile,
    KAFKA_SSL_KEY_PASSWORD_FILE: await secretFile('key-password', own.keyPassword),
    KAFKA_SASL_MECHANISM: 'PLAIN',
    KAFKA_SASL_USERNAME: 'app',
    KAFKA_SASL_PASSWORD: users.app,
    LABELSTREAM_REGISTRY_URL: registry.url,
    LABELSTREAM_REGISTRY_USERNAME: 'app',
    LABELSTREAM_REGISTRY_PASSWORD_FILE: await secretFile('registry-password', registryPassword),
    LABELSTREAM_HTTP_TOKEN_FILE: await secretFile('http-token', `${httpToken}\n`),
    LABELSTREAM_HTTP_PORT: '0',
  }
  const encoded = (text: string): string[] => [text, Buffer.from(text).toString('base64')]
  secrets = [users.app, own.keyPassword, registryPassword, httpToken, `app:${registryPassword}`].flatMap(
    encoded,
  )
  client = connectKafka({ brokers: kafka.internalBrokers, clientId: 'test' })
  await createTopics(
    client,
    ['texts', 'scores', 'dead-letters', 'labels'].map((topic) => ({ topic, partitions: 1 })),
  )
})

after(async () => {
  await kafka.stop()
  await registry.close()
  await rm(folder, { recursive: true })
})

const verbose = ['--verbose', '--log-level', 'debug']
const printed = ({ stdout, stderr }: CliRun): string => stdout + stderr

function assertSilent(output: string, more: readonly string[] = []): void {
  for (const canary of [...secrets, ...more]) {
    const at = output.indexOf(canary)
    assert.equal(at, -1, `${canary} in: ${output.slice(Math.max(0, at - 300), at + 100)}`)
  }
}

test('run prints and serves no secret and nothing of a text, whatever becomes of it', async () => {
  const texts: Record<string, Buffer> = {
    scored: Buffer.from('canaryscored is a text about baking bread'),
    json: Buffer.from('{"text": "canaryjson is fine", "id": "canaryid"}'),
    broken: Buffer.from('{"text": "canarybroken"'),
    empty: Buffer.from('{"text": "  ", "other": "canaryempty"}'),
    missing: Buffer.from('{"body": "canarymissing"}'),
    large: Buffer.from(`canarylarge ${'x'.repeat(200_000)}`),
    notUtf8: Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('canarybytes'), Buffer.from([0x80])]),
    avro: Buffer.concat([Buffer.from([0xc3, 0x01, 1, 2, 3, 4, 5, 6, 7, 8]), Buffer.from('canaryavro')]),
    unknownId: Buffer.concat([Buffer.from([0, 0, 0, 3, 9]), Buffer.from('canaryunknown')]),
  }
  const headers = { note: 'canaryheader', traceparent: 'canarytrace' }
  const messages = Object.values(texts).map((value) => ({ key: Buffer.from('canarykey'), value, headers }))
  const overgrown = {
    key: null,
    value: Buffer.from('canaryovergrown'),
    headers: { x: Buffer.alloc(70_000, 'canarybig') },
  }
  const writer = await Writer.connect(client)
  await writer.send('texts', 0, [...messages, overgrown])
  await writer.close()

  const { child, ended } = startCli(['run', ...verbose, '--log-format', 'json', '--json'], { env })
  let log = ''
  child.stderr?.on('data', (chunk: string) => (log += chunk))
  const address = (): string | undefined => /"metrics":"([^"]+)"/.exec(log)?.[1]
  await waitUntil(() => address() !== undefined, { timeoutMs: 90_000, onTimeout: () => new Error(log) })
  const metricsUrl = address() ?? ''
  let page = ''
  await waitUntil(
    async () => {
      page = await (await fetch(metricsUrl, { headers: { authorization: `Bearer ${httpToken}` } })).text()
      return (
        /^labelstream_scored_total\{[^}]*\} 2$/m.test(page) && deadLettersIn(page) === messages.length - 1
      )
    },
    { timeoutMs: 90_000, onTimeout: () => new Error(`${page}\n${log}`) },
  )
  const refused = await fetch(metricsUrl)
  assert.equal(refused.status, 401)
  const other = await Promise.all(
    ['', 'readyz', 'healthz', 'nothing'].map(async (path) =>
      (await fetch(metricsUrl.replace('metrics', path))).text(),
    ),
  )
  child.kill('SIGTERM')
  const run = await ended
  assert.equal(run.status, 0, run.stderr)

  const output = printed(run) + page + (await refused.text()) + other.join('')
  assert.match(output, /"level":"debug"/, 'debug lines were printed')
  assertSilent(output, ['canary'])

  let letters = 0
  for await (const { headers: reasons } of readRange(client, 'dead-letters')) {
    letters++
    for (const [name, value] of Object.entries(reasons)) {
      if (name.startsWith('__connect.errors.')) assert.doesNotMatch(String(value), /canary/)
    }
  }
  assert.equal(letters, messages.length - 1)
})

const deadLettersIn = (page: string): number =>
  [...page.matchAll(/^labelstream_dead_letters_total\{[^}]*\} (\d+)$/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  )

test('what refuses to start says why and repeats no secret', async () => {
  const cases: { change: Record<string, string>; says: RegExp }[] = [
    { change: { KAFKA_SASL_PASSWORD: 'canary-wrong' }, says: /AUTHENTICATION_FAILED/ },
    {
      change: { KAFKA_SASL_MECHANISM: 'SCRAM-SHA-256', KAFKA_SASL_PASSWORD: 'canary-wrong' },
      says: /AUTHENTICATION_FAILED/,
    },
    {
      change: {
        KAFKA_SASL_MECHANISM: 'OAUTHBEARER',
        KAFKA_SASL_OAUTH_TOKEN_FILE: await secretFile('token', 'canary.wrong.token'),
      },
      says: /AUTHENTICATION_FAILED/,
    },
    {
      change: { KAFKA_SSL_KEY_PASSWORD_FILE: await secretFile('wrong-key-password', 'canary-wrong') },
      says: /SETTING_INVALID.*keyPasswordFile/,
    },
    { change: { KAFKA_SASL_MECHANISM: 'canary-wrong' }, says: /SETTING_INVALID.*kafka\.sasl\.mechanism/ },
    {
      change: { LABELSTREAM_HTTP_TOKEN_FILE: await secretFile('empty', '\n') },
      says: /SETTING_INVALID.*http\.tokenFile/,
    },
    {
      change: {
        KAFKA_SASL_PASSWORD: '',
        KAFKA_SASL_PASSWORD_FILE: await secretFile('empty', '\n'),
      },
      says: /SETTING_INVALID.*kafka\.sasl\.passwordFile.*is empty/,
    },
    { change: { LABELSTREAM_HTTP_TOKEN_FILE: '/nowhere' }, says: /FILE_UNREADABLE.*http\.tokenFile/ },
    {
      change: { LABELSTREAM_REGISTRY_URL: registry.url.replace('//', '//app:canary-wrong@') },
      says: /SETTING_INVALID.*registry\.url/,
    },
  ]
  for (const { change, says } of cases) {
    const run = await runCli(['run', ...verbose], { env: { ...env, ...change } })
    assert.equal(run.status, 2, run.stderr)
    assert.match(run.stderr, says)
    // a mechanism is no secret: it is repeated so that the mistake is seen
    assertSilent(printed(run), change['KAFKA_SASL_MECHANISM'] === 'canary-wrong' ? [] : ['canary'])
  }
})

test('a registry that refuses, redirects or quotes the password is told without it', async () => {
  const behaviours: FakeRegistry['behaviour'][] = [
    (_request, response) => {
      respond(response, 401, { error_code: 401, message: `wrong password ${registryPassword}` })
    },
    (request, response) => {
      const message = `you sent ${String(request.headers.authorization)} and ${registryPassword}`
      respond(response, 422, { error_code: 42201, message })
    },
    (request, response) => {
      response.writeHead(307, {
        location: `http://app:${registryPassword}@127.0.0.1:1/${String(request.url)}`,
      })
      response.end()
    },
  ]
  for (const behaviour of behaviours) {
    registry.behaviour = behaviour
    const run = await runCli(['run', ...verbose], { env })
    assert.equal(run.status, 2, run.stderr)
    assert.match(run.stderr, /REGISTRY_REFUSED/)
    assertSilent(printed(run))
  }
  registry.behaviour = undefined
})

test('labelled rows and texts that cannot be read are named by their line alone', async () => {
  const rows = join(folder, 'rows.jsonl')
  await writeFile(rows, '{"text": "fine", "labels": ["a"]}\n{"text": "canaryrow", "labels": ["a"\n')
  for (const args of [
    ['labels', 'put', rows],
    ['retrain', '--data', rows, '--base', 'minilm-l6', '--name', 'never', '--models-folder', folder],
    ['evaluate', '--data', rows, '--model', 'advice'],
  ]) {
    const run = await runCli([...args, ...verbose], { env })
    assert.notEqual(run.status, 0)
    assertSilent(printed(run), ['canary'])
  }
  const run = await runCli(['score', ...verbose], { env, input: '{"text": "canaryline"\n' })
  assert.match(run.stderr, /DATA_INVALID.*line 1/)
  assertSilent(printed(run), ['canary'])
})

test('settings shows that secrets are set, not what they are', async () => {
  const run = await runCli(['settings', '--json'], { env })
  assert.match(run.stdout, /"\(set\)"/)
  assertSilent(printed(run))
})
