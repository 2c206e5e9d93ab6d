import assert from 'node:assert/strict'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { sleep, waitUntil } from '../../src/core/clock.ts'
import { writerSchemas } from '../../src/formats/avro-value.ts'
import { decodeLabelScores, type LabelScores } from '../../src/formats/scores.ts'
import { readRange } from '../../src/kafka/read-range.ts'
import { promote } from '../../src/models/champion.ts'
import { openModel } from '../../src/models/folder.ts'
import { defaultTextRunner } from '../../src/models/text-runner.ts'
import type { WrittenVersion } from '../../src/models/versions.ts'
import { Serving } from '../../src/stream/serving.ts'
import { freshName, freshTopic, testClient, testWriter } from '../support/broker.ts'
import { cliJson, startCli } from '../support/cli.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { writeSmallModel } from '../support/small-model.ts'

const partitions = 3
/** So few that most come several times: some of their scores come from memory. */
const texts = Array.from(
  { length: 300 },
  (_, number) => `text ${number} of ${(number * 7919) % 97} words and more`,
)

interface Expected {
  readonly version: string
  readonly scores: Readonly<Record<string, number>>[]
  readonly decided: (readonly string[])[]
}

/** What a version says of each text. */
async function expectedOf(modelsFolder: string, { version }: WrittenVersion): Promise<Expected> {
  const model = await openModel(`small@${version}`, modelsFolder)
  const serving = await Serving.start(model, { ...defaultTextRunner, threads: 1, maxTokens: 0 })
  try {
    const results = await serving.score(texts)
    return {
      version,
      scores: results.map(({ scores }) =>
        Object.fromEntries(model.labels.map((label, column) => [label, scores[column] ?? NaN])),
      ),
      decided: results.map(({ decided }) => decided),
    }
  } finally {
    await serving.close()
  }
}

test('promotions under traffic: every event is of the model that it names, in order, none lost, none doubled', async (t) => {
  const modelsFolder = await temporaryFolder()
  const first = await writeSmallModel(modelsFolder, 1)
  const second = await writeSmallModel(modelsFolder, 2, { labels: ['third', 'fourth'], threshold: 0.3 })
  const broken = await writeSmallModel(modelsFolder, 3)
  await truncate(join(broken.path, 'model.safetensors'), 1_000)
  const expected = new Map<string, Expected>()
  for (const each of [first, second]) expected.set(each.digest, await expectedOf(modelsFolder, each))
  await promote(modelsFolder, 'small', first.version)

  const client = await testClient()
  const [input, output, deadLetters] = [
    await freshTopic(client, partitions),
    await freshTopic(client, 2),
    await freshTopic(client, 1),
  ]
  const flags = [
    ...['--kafka-brokers', client.options.brokers.join(','), '--group', freshName('group')],
    ...['--input-topic', input, '--output-topic', output, '--dead-letters-topic', deadLetters],
    ...['--model', 'small', '--models-folder', modelsFolder, '--models-poll-ms', '50'],
    ...['--runtime-provider', 'cpu', '--runtime-precision', 'fp32', '--runtime-threads', '1'],
    ...['--http-port', '0', '--log-format', 'json'],
  ]
  const writer = await testWriter(client)
  const written: string[][] = Array.from({ length: partitions }, () => [])
  let producing = true
  t.after(() => {
    producing = false
  })
  const production = (async () => {
    for (let turn = 0; producing; turn++) {
      const partition = turn % partitions
      const batch = Array.from(
        { length: 20 },
        (_, index) => texts[(turn * 20 + index * 7) % texts.length] ?? '',
      )
      await writer.send(
        input,
        partition,
        batch.map((text) => ({ key: null, value: Buffer.from(text), headers: {} })),
      )
      written[partition]?.push(...batch)
      await sleep(20)
    }
  })()

  const { child, ended } = startCli(['run', ...flags])
  let log = ''
  child.stderr?.on('data', (chunk: string) => (log += chunk))
  /** Waits until the log has so many lines with all of these words. */
  const logged = (count: number, ...words: string[]): Promise<void> =>
    waitUntil(
      () => log.split('\n').filter((line) => words.every((word) => line.includes(word))).length >= count,
      { timeoutMs: 60_000, onTimeout: () => new Error(`not ${count} times ${words.join(', ')} in:\n${log}`) },
    )
  await logged(1, 'partitions assigned')
  await sleep(500)
  // as a user does it
  await cliJson(['models', 'promote', `small@${second.version}`, '--models-folder', modelsFolder])
  await logged(1, 'model reloaded', `"model":"small@${second.version}"`)
  await sleep(500)
  await writeFile(join(modelsFolder, 'small', 'champion'), `${broken.version}\n`)
  await logged(1, 'model not reloaded', 'MODEL_CORRUPT', `"serving":"small@${second.version}"`)
  await sleep(300)
  await promote(modelsFolder, 'small', first.version)
  await logged(1, 'model reloaded', `"model":"small@${first.version}"`)
  // two at once: whichever is overtaken, the last one serves
  await promote(modelsFolder, 'small', second.version)
  await sleep(60)
  await promote(modelsFolder, 'small', first.version)
  await sleep(60)
  await promote(modelsFolder, 'small', second.version)
  await logged(2, 'model reloaded', `"model":"small@${second.version}"`)
  await sleep(300)
  producing = false
  await production
  child.kill('SIGTERM')
  assert.equal((await ended).status, 0, log)
  const totals = (await cliJson(['run', '--until-end', ...flags])) as { model: { version: string } }
  assert.equal(totals.model.version, second.version)

  const schemas = writerSchemas()
  const events: LabelScores[] = []
  for await (const { value, headers } of readRange(client, output)) {
    const event = await decodeLabelScores(value ?? Buffer.of(), schemas)
    assert.equal(String(headers['labelstream-model']), `small@${event.model.version}`)
    events.push(event)
  }
  const next = new Map<number, number>()
  const counts = new Map<string, number>()
  for (const { source, model, scores, labels, eventId } of events) {
    assert.equal(source.offset, next.get(source.partition) ?? 0, `${eventId}: lost, doubled or out of order`)
    next.set(source.partition, source.offset + 1)
    const of = expected.get(model.digest)
    assert.equal(model.version, of?.version, eventId)
    const number = texts.indexOf(written[source.partition]?.[source.offset] ?? '')
    const own = of?.scores[number] ?? {}
    assert.deepEqual(Object.keys(scores).sort(), Object.keys(own).sort(), eventId)
    for (const [label, score] of Object.entries(own)) {
      assert.ok(Math.abs((scores[label] ?? NaN) - score) < 1e-4, `${eventId}: ${label}`)
    }
    assert.deepEqual(labels, of?.decided[number], eventId)
    counts.set(model.version, (counts.get(model.version) ?? 0) + 1)
  }
  assert.deepEqual(
    [...next.entries()].sort(([a], [b]) => a - b),
    written.map(({ length }, partition) => [partition, length]),
  )
  for (const { version } of [first, second])
    assert.ok((counts.get(version) ?? 0) > 0, `${version} scored nothing`)
})
