import assert from 'node:assert/strict'
import { cp, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import kafkajs from 'kafkajs'
import { packageRoot } from '../../src/core/paths.ts'
import { createTopics, withAdmin } from '../../src/kafka/admin.ts'
import { connectKafka } from '../../src/kafka/connect.ts'
import { type LocalKafka, startLocalKafka } from '../../src/kafka/local-broker.ts'
import { type CliOptions, runCli } from '../support/cli.ts'
import { temporaryFolder } from '../support/model-folder.ts'

let folder: string
before(async () => {
  folder = await temporaryFolder()
})

/** Runs a command that must be refused: exit code, one line that names these things, no stack trace. */
async function refused(
  args: readonly string[],
  status: number,
  names: readonly string[],
  options: CliOptions = {},
) {
  const run = await runCli(args, options)
  assert.equal(run.status, status, run.stderr)
  assert.equal(run.stdout, '')
  const errors = run.stderr.split('\n').filter((line) => line.startsWith('labelstream: '))
  assert.equal(errors.length, 1, run.stderr)
  for (const name of names) assert.ok(errors[0]?.includes(name), `${name} in: ${errors[0] ?? ''}`)
  assert.doesNotMatch(run.stderr, /^\s+at /m)
}

const quiet = ['--log-level', 'error', '--http-port', '0']

test('a wrong command line is refused with exit code 2', async () => {
  await refused(['runn'], 2, ['runn'])
  await refused(['run', '--nonsense'], 2, ['--nonsense'])
  await refused(['retrain', '--base', 'minilm-l6', '--name', 'a', '--strategy', 'full-linear'], 2, ['--data'])
  await refused(['score'], 2, ['text'])
})

test('a wrong setting is refused with its name, its place and what would be right', async () => {
  await refused(['run', '--batch-max-wait-ms', 'soon'], 2, [
    'batch.maxWaitMs',
    '--batch-max-wait-ms',
    'number',
  ])
  await refused(['run'], 2, ['LABELSTREAM_OUPUT_TOPIC', 'LABELSTREAM_OUTPUT_TOPIC'], {
    env: { LABELSTREAM_OUPUT_TOPIC: 'x' },
  })
  const file = join(folder, 'labelstream.yaml')
  await writeFile(file, 'batch:\n  budgetToken: 5\n')
  await refused(['settings', '--settings', file], 2, ['batch.budgetToken', file, 'batch.budgetTokens'])
})

test('a model that is missing is refused with the names that there are', async () => {
  await refused(['run', '--model', 'nobody', ...quiet], 2, ['MODEL_NOT_FOUND', 'nobody', 'advice'])
})

test('a model with one flipped byte is refused with the file, before anything is parsed', async () => {
  const models = join(folder, 'models')
  await cp(join(packageRoot, 'models', 'advice'), join(models, 'advice'), { recursive: true })
  const version = (await readFile(join(models, 'advice', 'champion'), 'utf8')).trim()
  const weights = await open(join(models, 'advice', version, 'model.safetensors'), 'r+')
  const byte = Buffer.alloc(1)
  await weights.read(byte, 0, 1, 1_000_000)
  byte[0] = (byte[0] ?? 0) ^ 1
  await weights.write(byte, 0, 1, 1_000_000)
  await weights.close()
  const options = ['--models-folder', models, '--model', 'advice']
  await refused(['run', ...options, ...quiet], 2, ['MODEL_CORRUPT', 'model.safetensors'])
  await refused(['score', ...options, 'a text'], 2, ['MODEL_CORRUPT', 'model.safetensors'])
  await refused(['models', 'verify', 'advice', '--models-folder', models], 2, [
    'MODEL_CORRUPT',
    'model.safetensors',
  ])
})

test('a broker that does not answer is named with its setting', async () => {
  await refused(['run', '--kafka-brokers', '127.0.0.1:1', ...quiet], 1, [
    'BROKER_UNREACHABLE',
    '127.0.0.1:1',
    'kafka.brokers',
  ])
})

test('a broker started for the demo needs Java or a broker of the user; what is missing is named first', async () => {
  await refused(['demo'], 2, ['PREREQUISITE_MISSING', 'KAFKA_BROKERS'], {
    env: { PATH: '/nonexistent', JAVA_HOME: '' },
  })
})

describe('on a broker with access rules', () => {
  let kafka: LocalKafka
  let env: Record<string, string>
  before(async () => {
    kafka = await startLocalKafka({ security: 'sasl_ssl_acl' })
    const passwordFile = join(folder, 'password')
    await writeFile(passwordFile, kafka.credentials?.users.app ?? '')
    env = {
      KAFKA_BROKERS: kafka.brokers.join(','),
      KAFKA_SECURITY_PROTOCOL: 'SASL_SSL',
      KAFKA_SSL_CA_FILE: kafka.credentials?.caFile ?? '',
      KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
      KAFKA_SASL_USERNAME: 'app',
      KAFKA_SASL_PASSWORD_FILE: passwordFile,
    }
    const admin = connectKafka({ brokers: kafka.internalBrokers, clientId: 'test' })
    await createTopics(
      admin,
      ['texts', 'scores', 'dead-letters'].map((topic) => ({ topic, partitions: 1 })),
    )
    const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs
    const allow = (topic: string, operation: number) => ({
      resourceType: AclResourceTypes.TOPIC,
      resourceName: topic,
      operation,
      resourcePatternType: ResourcePatternTypes.LITERAL,
      permissionType: AclPermissionTypes.ALLOW,
      principal: 'User:app',
      host: '*',
    })
    await withAdmin(admin, (connection) =>
      connection.createAcls({
        acl: [
          allow('texts', AclOperationTypes.READ),
          allow('scores', AclOperationTypes.READ),
          allow('dead-letters', AclOperationTypes.WRITE),
        ],
      }),
    )
  })
  after(async () => {
    await kafka.stop()
  })

  test('no permission to write is named with the topic and the setting', async () => {
    await refused(['run', ...quiet], 2, ['ACCESS_DENIED', 'write', 'topic scores', 'output.topic'], { env })
  })

  test('a wrong password is refused without repeating it', async () => {
    const passwordFile = join(folder, 'wrong-password')
    await writeFile(passwordFile, 'canary-secret')
    const run = await runCli(['run', ...quiet, '--log-level', 'debug', '--verbose'], {
      env: { ...env, KAFKA_SASL_PASSWORD_FILE: passwordFile },
    })
    assert.equal(run.status, 2)
    assert.match(run.stderr, /AUTHENTICATION_FAILED/)
    assert.doesNotMatch(run.stderr + run.stdout, /canary-secret/)
  })

  test('a topic that does not exist is named with the command that makes it', async () => {
    await refused(
      ['run', '--kafka-brokers', kafka.internalBrokers.join(','), '--input-topic', 'nowhere', ...quiet],
      2,
      ['TOPIC_MISSING', 'nowhere', 'input.topic', 'labelstream topics create'],
    )
  })
})
