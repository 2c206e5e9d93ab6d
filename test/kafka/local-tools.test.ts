import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoffMs } from '../../src/core/backoff.ts'
import { freePorts } from '../../src/kafka/local-ports.ts'
import { javaMajorVersion, lastLines, runTool } from '../../src/kafka/local-tools.ts'
import { startOffset } from '../../src/kafka/start-positions.ts'

test('the version of Java is read from what it prints, old and new', () => {
  assert.equal(javaMajorVersion('openjdk version "17.0.15" 2025-04-15'), 17)
  assert.equal(javaMajorVersion('java version "1.8.0_392"'), 8)
  assert.equal(javaMajorVersion('openjdk version "25" 2025-09-16'), 25)
  assert.equal(javaMajorVersion('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "21.0.1"'), 21)
  assert.equal(javaMajorVersion('something else'), undefined)
})

test('the end of a log is told on one line', () => {
  assert.equal(lastLines('a\n\n b \nc\n', 2), 'b | c')
})

test('a tool that fails is told with what it printed', async () => {
  await assert.rejects(runTool('sh', ['-c', 'echo out; echo err >&2; exit 3'], 'trying'), {
    code: 'LOCAL_BROKER_FAILED',
    message: 'trying failed: out | err',
  })
})

test('free ports are different and below the range of outgoing connections', async () => {
  const ports = await freePorts(9)
  assert.equal(new Set(ports).size, 9)
  assert.ok(ports.every((port) => port >= 15_000 && port < 32_000))
})

test('back-off doubles up to five seconds and takes away at most half', () => {
  assert.equal(
    backoffMs(1, () => 1),
    50,
  )
  assert.equal(
    backoffMs(2, () => 0),
    50,
  )
  assert.equal(
    backoffMs(4, () => 1),
    400,
  )
  assert.equal(
    backoffMs(1_000, () => 1),
    5_000,
  )
})

test('reading begins at the commit, inside what the log still has', () => {
  assert.equal(startOffset(undefined, 3, 9, true), 3)
  assert.equal(startOffset(undefined, 3, 9, false), 9)
  assert.equal(startOffset(5, 3, 9, false), 5)
  assert.equal(startOffset(1, 3, 9, false), 3)
  assert.equal(startOffset(12, 3, 9, true), 3)
})
