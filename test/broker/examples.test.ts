import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { waitUntil } from '../../src/core/clock.ts'
import { packageRoot } from '../../src/core/paths.ts'
import { SchemaRegistry } from '../../src/formats/registry.ts'
import { labelScoresEncoder, labelScoresSchemaText } from '../../src/formats/scores.ts'
import { endOffsets } from '../../src/kafka/admin.ts'
import { Writer } from '../../src/kafka/writer.ts'
import { freshName, freshTopic, testBroker, testClient } from '../support/broker.ts'
import { startFakeRegistry } from '../support/fake-registry.ts'
import { scoreEvent } from '../support/score-event.ts'

/** Starts a compiled example and collects what it prints. */
function startExample(
  name: string,
  environment: Record<string, string>,
): { child: ChildProcess; printed: () => string } {
  const child = spawn(process.execPath, [join('build', 'examples', name)], {
    cwd: packageRoot,
    env: { ...process.env, ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let printed = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  return { child, printed: () => printed }
}

test('the example producer sends every line that has something in it', async () => {
  const client = await testClient()
  const topic = await freshTopic(client)
  const { brokers } = await testBroker()
  const { child, printed } = startExample('produce-texts.js', {
    KAFKA_BROKERS: brokers.join(','),
    TOPIC: topic,
  })
  child.stdin?.end(`${readFileSync(join(packageRoot, 'examples', 'texts.jsonl'), 'utf8')}\na plain one\n`)
  const [code] = (await once(child, 'exit')) as [number]
  assert.equal(code, 0, printed())
  assert.match(printed(), /^13 texts sent$/m)
  assert.equal((await endOffsets(client, topic)).get(0), 13)
})

test('the example consumer prints scores of both framings', async () => {
  const client = await testClient()
  const topic = await freshTopic(client)
  const { brokers } = await testBroker()
  const registry = await startFakeRegistry()
  const header = await new SchemaRegistry({ url: registry.url }).valueHeader(topic, labelScoresSchemaText())
  const event = {
    ...scoreEvent,
    id: 'a-1',
    scores: { cooking_advice: 0.25, not_advice: 0.75 },
    labels: ['not_advice'],
  }
  const writer = await Writer.connect(client)
  const values = [
    labelScoresEncoder()(event),
    labelScoresEncoder(header)({ ...event, id: 'a-2', labels: [] }),
  ]
  await writer.send(
    topic,
    0,
    values.map((value) => ({ key: null, value, headers: {} })),
  )
  await writer.close()
  const { child, printed } = startExample('consume-scores.js', {
    KAFKA_BROKERS: brokers.join(','),
    TOPIC: topic,
    GROUP: freshName('group'),
    REGISTRY_URL: registry.url,
  })
  const ended = once(child, 'exit')
  try {
    const lines = [
      'a-1\tnot_advice\t(not_advice 0.75, cooking_advice 0.25)',
      'a-2\t-\t(not_advice 0.75, cooking_advice 0.25)',
    ]
    await waitUntil(() => lines.every((line) => printed().includes(line)), {
      timeoutMs: 30_000,
      onTimeout: () => new Error(`not printed; instead: ${printed()}`),
    })
  } finally {
    child.kill('SIGTERM')
    await ended
    await registry.close()
  }
})
