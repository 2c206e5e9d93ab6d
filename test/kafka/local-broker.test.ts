import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { waitUntil } from '../../src/core/clock.ts'
import { siblingModule } from '../../src/core/paths.ts'
import { kafkaJars } from '../../src/kafka/local-jars.ts'
import { startLocalKafka } from '../../src/kafka/local-broker.ts'

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('a broker stops and leaves neither process nor files', async () => {
  const kafka = await startLocalKafka({ security: 'sasl_ssl' })
  const [node] = kafka.nodes
  const pid = node?.pid
  assert.ok(pid !== undefined && isAlive(pid))
  const folder = dirname(dirname(kafka.credentials?.caFile ?? ''))
  assert.ok(existsSync(folder))
  await kafka.stop()
  await kafka.stop()
  assert.equal(isAlive(pid), false)
  assert.equal(existsSync(folder), false)
})

test('a broker ends when the process that started it is killed', async () => {
  const module = siblingModule(import.meta.url, '../../src/kafka/local-broker').href
  const program = `
    const { startLocalKafka } = await import(${JSON.stringify(module)})
    const kafka = await startLocalKafka()
    console.log(kafka.nodes[0].pid)
    setInterval(() => {}, 1000)`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface(owner.stdout), 'line')) as [string]
  const broker = Number(line)
  assert.ok(isAlive(broker))
  owner.kill('SIGKILL')
  await waitUntil(() => !isAlive(broker), {
    timeoutMs: 10_000,
    onTimeout: () => new Error(`broker ${broker} outlives its owner`),
  })
})

test('a broker that does not start is told with the end of its log', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'labelstream-test-'))
  await mkdir(join(folder, 'node-1', 'data'), { recursive: true })
  await writeFile(join(folder, 'node-1', 'data', 'meta.properties'), 'version=nonsense\n')
  try {
    await assert.rejects(startLocalKafka({ folder }), (error) => {
      assert.ok(error instanceof Error && 'code' in error)
      assert.equal(error.code, 'LOCAL_BROKER_FAILED')
      assert.match(error.message, /the local Kafka broker ended: .*meta\.properties/)
      assert.doesNotMatch(error.message, /\n/)
      return true
    })
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('without Java it is said what to install, also when the jars are here', async () => {
  await kafkaJars()
  const before = process.env['JAVA_HOME']
  process.env['JAVA_HOME'] = '/nowhere'
  try {
    await assert.rejects(startLocalKafka({ nodes: 3 }), {
      code: 'PREREQUISITE_MISSING',
      message: /\/nowhere.*needs Java 17/,
    })
  } finally {
    if (before === undefined) delete process.env['JAVA_HOME']
    else process.env['JAVA_HOME'] = before
  }
})
