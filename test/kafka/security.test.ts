import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import kafkajs from 'kafkajs'
import { checkTopics, committedOffsets, createTopics, endOffsets, withAdmin } from '../../src/kafka/admin.ts'
import { connectKafka, type KafkaOptions, type PasswordSasl } from '../../src/kafka/connect.ts'
import { type LocalKafka, localKafkaOptions, startLocalKafka } from '../../src/kafka/local-broker.ts'
import { settledExtent } from '../../src/kafka/settled-extent.ts'
import { isCompacted } from '../../src/kafka/topic-config.ts'
import { closeAtEnd } from '../support/broker.ts'
import { Writer } from '../../src/kafka/writer.ts'
import { Listener, textMessage } from '../support/reader.ts'

let kafka: LocalKafka
let folder: string

before(async () => {
  kafka = await startLocalKafka({ security: 'sasl_ssl_acl' })
  folder = await mkdtemp(join(tmpdir(), 'labelstream-test-'))
  const admin = connectKafka({ brokers: kafka.internalBrokers, clientId: 'test' })
  await createTopics(
    admin,
    ['allowed', 'forbidden', 'read-only'].map((topic) => ({ topic, partitions: 1 })),
  )
  const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs
  const allow = (resourceType: number, resourceName: string, operation: number) => ({
    resourceType,
    resourceName,
    operation,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    permissionType: AclPermissionTypes.ALLOW,
    principal: 'User:app',
    host: '*',
  })
  await withAdmin(admin, (connection) =>
    connection.createAcls({
      acl: [
        allow(AclResourceTypes.TOPIC, 'allowed', AclOperationTypes.READ),
        allow(AclResourceTypes.TOPIC, 'allowed', AclOperationTypes.WRITE),
        allow(AclResourceTypes.TOPIC, 'read-only', AclOperationTypes.READ),
        allow(AclResourceTypes.GROUP, 'allowed-group', AclOperationTypes.READ),
      ],
    }),
  )
})

after(async () => {
  await kafka.stop()
  await rm(folder, { recursive: true })
})

const withSasl = (change: Partial<PasswordSasl>): KafkaOptions => {
  const password = kafka.credentials?.users.app
  return {
    ...localKafkaOptions(kafka),
    sasl: { mechanism: 'scram-sha-512', username: 'app', password, ...change },
  }
}

for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512'] as const) {
  test(`TLS and ${mechanism}: a user gets in, with the password from a file`, async () => {
    const passwordFile = join(folder, 'password')
    await writeFile(passwordFile, `${kafka.credentials?.users.app}\n`)
    const client = connectKafka(withSasl({ mechanism, password: undefined, passwordFile }))
    assert.equal((await endOffsets(client, 'allowed')).size, 1)
  })

  test(`TLS and ${mechanism}: a wrong password is told without showing it`, async () => {
    const client = connectKafka(withSasl({ mechanism, password: 'wrong-secret' }))
    await assert.rejects(endOffsets(client, 'allowed'), (error) => {
      assert.ok(error instanceof Error && 'code' in error)
      assert.equal(error.code, 'AUTHENTICATION_FAILED')
      assert.doesNotMatch(error.message, /wrong-secret/)
      return true
    })
  })
}

/** A token as Kafka's own stand-in for a token service takes it: RFC 7515 with the algorithm `none`. */
function unsignedToken(subject: string, expiresInSeconds: number): string {
  const part = (content: object): string => Buffer.from(JSON.stringify(content)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  return `${part({ alg: 'none' })}.${part({ sub: subject, iat: now - 3_600, exp: now + expiresInSeconds })}.`
}

test('TLS and OAUTHBEARER: the token comes from a file that is read again at each log-in', async () => {
  const tokenFile = join(folder, 'token')
  await writeFile(tokenFile, `${unsignedToken('app', 600)}\n`)
  const client = connectKafka({
    ...localKafkaOptions(kafka),
    sasl: { mechanism: 'oauthbearer', tokenFile },
  })
  assert.equal((await endOffsets(client, 'allowed')).size, 1)

  const expired = unsignedToken('app', -1_800)
  await writeFile(tokenFile, expired)
  await assert.rejects(endOffsets(client, 'allowed'), (error) => {
    assert.ok(error instanceof Error && 'code' in error)
    assert.equal(error.code, 'AUTHENTICATION_FAILED')
    assert.ok(!error.message.includes(expired))
    return true
  })

  await writeFile(tokenFile, unsignedToken('app', 600))
  assert.equal((await endOffsets(client, 'allowed')).size, 1)
  await rm(tokenFile)
  await assert.rejects(endOffsets(client, 'allowed'), {
    code: 'FILE_UNREADABLE',
    message: /kafka\.sasl\.oauthTokenFile/,
  })
})

test('a token of another subject has that subject’s rights', async () => {
  const tokenFile = join(folder, 'other-token')
  await writeFile(tokenFile, unsignedToken('stranger', 600))
  const client = connectKafka({
    ...localKafkaOptions(kafka),
    sasl: { mechanism: 'oauthbearer', tokenFile },
  })
  assert.deepEqual(await checkTopics(client, ['allowed']), [
    { topic: 'allowed', exists: false, partitions: 0, canRead: false, canWrite: false },
  ])
})

test('a token file that holds no token is refused before anything is sent, without repeating it', async () => {
  const options = localKafkaOptions(kafka)
  const tokenFile = join(folder, 'no-token')
  for (const content of ['', '\n', 'two tokens', 'to\u0001ken\u0001auth=x']) {
    await writeFile(tokenFile, content)
    assert.throws(
      () => connectKafka({ ...options, sasl: { mechanism: 'oauthbearer', tokenFile } }),
      (error) => {
        assert.ok(error instanceof Error && 'code' in error)
        assert.equal(error.code, 'FILE_UNREADABLE')
        assert.match(error.message, /oauthTokenFile/)
        assert.doesNotMatch(error.message, /auth=|two/)
        return true
      },
    )
  }
  assert.throws(() => connectKafka({ ...options, sasl: { mechanism: 'oauthbearer', tokenFile: '' } }), {
    code: 'SETTING_INVALID',
    message: /KAFKA_SASL_OAUTH_TOKEN_FILE/,
  })
})

test('a certificate of an unknown authority is refused, and verify: false takes it', async () => {
  const options = localKafkaOptions(kafka)
  await assert.rejects(endOffsets(connectKafka({ ...options, ssl: {} }), 'allowed'), {
    code: 'TLS_FAILED',
    message: /kafka\.ssl\.caFile/,
  })
  const trusting = connectKafka({ ...options, ssl: { verify: false } })
  assert.equal((await endOffsets(trusting, 'allowed')).size, 1)
})

test('files that cannot be read or are no PEM are named with their setting', () => {
  const options = localKafkaOptions(kafka)
  assert.throws(() => connectKafka({ ...options, ssl: { caFile: '/nowhere/ca.pem' } }), {
    code: 'FILE_UNREADABLE',
    message: /kafka\.ssl\.caFile.*\/nowhere\/ca\.pem/,
  })
  assert.throws(() => connectKafka({ ...options, ssl: { caFile: import.meta.filename } }), {
    code: 'FILE_UNREADABLE',
    message: /not a PEM file/,
  })
  assert.throws(() => connectKafka({ ...options, ssl: { certFile: kafka.credentials?.caFile } }), {
    code: 'SETTING_INVALID',
  })
})

test('what the access rules forbid is ACCESS_DENIED and names the topic or the group', async () => {
  const client = connectKafka(localKafkaOptions(kafka))
  const writer = closeAtEnd(await Writer.connect(client))
  await writer.send('allowed', 0, [textMessage('x')])
  await assert.rejects(writer.send('read-only', 0, [textMessage('x')]), {
    code: 'ACCESS_DENIED',
    message: /read-only/,
  })
  await assert.rejects(writer.send('forbidden', 0, [textMessage('x')]), {
    code: 'ACCESS_DENIED',
    message: /forbidden/,
  })
  await assert.rejects(Listener.start(client, { group: 'allowed-group', topics: ['forbidden'] }), {
    code: 'ACCESS_DENIED',
    message: /forbidden/,
  })
  await assert.rejects(createTopics(client, [{ topic: 'new', partitions: 1 }]), { code: 'ACCESS_DENIED' })
  assert.deepEqual(await checkTopics(client, ['allowed', 'read-only', 'forbidden']), [
    { topic: 'allowed', exists: true, partitions: 1, canRead: true, canWrite: true },
    { topic: 'read-only', exists: true, partitions: 1, canRead: true, canWrite: false },
    { topic: 'forbidden', exists: false, partitions: 0, canRead: false, canWrite: false },
  ])
  const allowed = await Listener.start(client, { group: 'allowed-group', topics: ['allowed'] })
  await allowed.until(() => allowed.messages.length === 1, 'the message')
  await allowed.reader.close()

  const otherGroup = { code: 'ACCESS_DENIED', message: /other-group/ }
  await assert.rejects(Listener.start(client, { group: 'other-group', topics: ['allowed'] }), otherGroup)
  await assert.rejects(committedOffsets(client, 'other-group', 'allowed'), otherGroup)
})

test('reading for an audit needs no more than reading: where the settings of a topic may not be asked, it counts as not compacted', async () => {
  const client = connectKafka(withSasl({}))
  assert.equal(await isCompacted(client, 'read-only'), false)
  assert.deepEqual(await settledExtent(client, 'read-only'), {
    from: new Map([[0, 0]]),
    to: new Map([[0, 0]]),
  })
})
