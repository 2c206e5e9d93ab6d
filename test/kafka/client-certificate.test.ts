import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createTopics, endOffsets } from '../../src/kafka/admin.ts'
import { connectKafka, type KafkaOptions, type SslOptions } from '../../src/kafka/connect.ts'
import { type LocalKafka, startLocalKafka } from '../../src/kafka/local-broker.ts'
import { type LocalCredentials, makeCredentials } from '../../src/kafka/local-security.ts'
import { Writer } from '../../src/kafka/writer.ts'
import { closeAtEnd } from '../support/broker.ts'
import { runCli } from '../support/cli.ts'
import { Listener, textMessage } from '../support/reader.ts'

let kafka: LocalKafka
let credentials: LocalCredentials
let folder: string

before(async () => {
  kafka = await startLocalKafka({ security: 'ssl_client_certificate' })
  assert.ok(kafka.credentials !== undefined)
  credentials = kafka.credentials
  folder = await mkdtemp(join(tmpdir(), 'labelstream-test-'))
  const admin = connectKafka({ brokers: kafka.internalBrokers, clientId: 'test' })
  await createTopics(
    admin,
    ['texts', 'scores', 'dead-letters'].map((topic) => ({ topic, partitions: 1 })),
  )
})

after(async () => {
  await kafka.stop()
  await rm(folder, { recursive: true })
})

const withCertificate = (change: Partial<SslOptions> = {}): KafkaOptions => {
  const { certFile, keyFile, keyPassword } = credentials.client
  const ssl = { caFile: credentials.caFile, certFile, keyFile, keyPassphrase: keyPassword, ...change }
  return { brokers: kafka.brokers, clientId: 'test', ssl }
}

test('a client with a certificate of the authority writes and reads', async () => {
  const client = connectKafka(withCertificate())
  const writer = closeAtEnd(await Writer.connect(client))
  await writer.send('texts', 0, [textMessage('hello')])
  const listener = await Listener.start(client, { group: 'certified', topics: ['texts'] })
  await listener.until(() => listener.messages.length === 1, 'the message')
  assert.deepEqual(listener.texts, ['hello'])
})

test('without a certificate, or with one of another authority, nobody gets in', async () => {
  const bare = { certFile: undefined, keyFile: undefined, keyPassphrase: undefined }
  await assert.rejects(endOffsets(connectKafka(withCertificate(bare)), 'texts'), {
    code: 'TLS_FAILED',
    message: /kafka\.ssl\.certFile/,
  })
  const { certFile, keyFile, keyPassword } = (await makeCredentials(join(folder, 'other'), 'sasl_ssl')).client
  const other = withCertificate({ certFile, keyFile, keyPassphrase: keyPassword })
  await assert.rejects(endOffsets(connectKafka(other), 'texts'), { code: 'TLS_FAILED' })
})

test('a broker whose certificate names another host is refused, unless the name is not to be checked', async () => {
  const brokers = kafka.brokers.map((broker) => broker.replace('localhost', '127.0.0.1'))
  await assert.rejects(endOffsets(connectKafka({ ...withCertificate(), brokers }), 'texts'), {
    code: 'TLS_FAILED',
    message: /127\.0\.0\.1/,
  })
  const unchecked = connectKafka({ ...withCertificate({ checkHostname: false }), brokers })
  assert.equal((await endOffsets(unchecked, 'texts')).size, 1)
})

test('not checking the name still checks the authority', async () => {
  const { caFile } = await makeCredentials(join(folder, 'third'), 'sasl_ssl')
  const client = connectKafka(withCertificate({ caFile, checkHostname: false }))
  await assert.rejects(endOffsets(client, 'texts'), { code: 'TLS_FAILED' })
})

test('a wrong key password and a key of another certificate are told before anything is connected', async () => {
  assert.throws(
    () => connectKafka(withCertificate({ keyPassphrase: 'wrong-canary' })),
    (error) => {
      assert.ok(error instanceof Error && 'code' in error)
      assert.equal(error.code, 'SETTING_INVALID')
      assert.match(error.message, /keyPasswordFile/)
      assert.doesNotMatch(error.message, /wrong-canary/)
      return true
    },
  )
  const { client } = await makeCredentials(join(folder, 'fourth'), 'sasl_ssl')
  const mixed = withCertificate({ keyFile: client.keyFile, keyPassphrase: client.keyPassword })
  assert.throws(() => connectKafka(mixed), { code: 'SETTING_INVALID', message: /kafka\.ssl/ })
})

test('the command line takes the certificate from its settings', async () => {
  const passwordFile = join(folder, 'key-password')
  await writeFile(passwordFile, `${credentials.client.keyPassword}\n`)
  const run = await runCli(['topics', 'check', '--json'], {
    env: {
      KAFKA_BROKERS: kafka.brokers.join(','),
      KAFKA_SECURITY_PROTOCOL: 'SSL',
      KAFKA_SSL_CA_FILE: credentials.caFile,
      KAFKA_SSL_CERT_FILE: credentials.client.certFile,
      KAFKA_SSL_KEY_FILE: credentials.client.keyFile,
      KAFKA_SSL_KEY_PASSWORD_FILE: passwordFile,
    },
  })
  assert.match(run.stdout, /"topic": "texts"/, run.stderr)
})
