import assert from 'node:assert/strict'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import type { OptionValues } from '../../src/commands/command.ts'
import { readTrainingData } from '../../src/commands/recorded-data.ts'
import { waitUntil } from '../../src/core/clock.ts'
import { LabelstreamError } from '../../src/core/errors.ts'
import { packageRoot } from '../../src/core/paths.ts'
import { checkTopics, createTopics, topicExtent, withAdmin } from '../../src/kafka/admin.ts'
import type { KafkaClient } from '../../src/kafka/connect.ts'
import { type Prepared, prepare } from '../../src/train/prepare.ts'
import { freshTopic, testClient, testWriter } from '../support/broker.ts'
import { cliJson } from '../support/cli.ts'
import { type SettingFlags, commandContext } from '../support/command-context.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { throwsCode } from '../support/throws-code.ts'

let folder: string
let client: KafkaClient
const warnings: string[] = []

before(async () => {
  folder = await temporaryFolder()
  client = await testClient()
})

const read = async (options: OptionValues, flags: SettingFlags = {}): Promise<Prepared['data']> => {
  const brokers = client.options.brokers.join(',')
  const context = commandContext({ 'kafka.brokers': brokers, ...flags }, warnings)
  return prepare(await readTrainingData(context, options)).data
}

let written = 0
/** The manifest of a fresh reading of the data, as a file. */
async function manifestOf(options: OptionValues, flags: SettingFlags = {}) {
  const data = await read(options, flags)
  const path = join(folder, `manifest-${written++}.json`)
  await writeFile(path, JSON.stringify(data))
  return { path, data }
}

/** Rows of two partitions, keyed: even ones in partition 0, odd ones in partition 1. */
async function put(topic: string, from: number, to: number, row: (number: number) => object | null) {
  const writer = await testWriter(client)
  for (const partition of [0, 1]) {
    const numbers = Array.from({ length: to - from }, (_, place) => from + place)
    const messages = numbers
      .filter((number) => number % 2 === partition)
      .map((number) => {
        const value = row(number)
        return {
          key: Buffer.from(`key-${number}`),
          value: value === null ? null : Buffer.from(JSON.stringify(value)),
          headers: {},
        }
      })
    if (messages.length > 0) await writer.send(topic, partition, messages)
  }
  await writer.close()
}

const labelled = (number: number): object => ({
  text: `text number ${number}`,
  labels: number % 3 === 0 ? { a: 0.75, b: null } : ['b'],
})
const edited = (number: number): object => ({ text: `edited ${number}`, labels: ['a', 'new'] })

const until = (holds: () => Promise<boolean>, otherwise: string): Promise<void> =>
  waitUntil(holds, {
    timeoutMs: 30_000,
    everyMs: 50,
    onTimeout: () => new LabelstreamError('INTERNAL', otherwise),
  })

/** Deletes the records of partition 0 below the offset, and waits until they are gone. */
async function deleteRecords(topic: string, offset: number): Promise<void> {
  await withAdmin(client, async (admin) => {
    // kafkajs deletes only from topics that it has been asked about before
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(offset) }] })
  })
  const { partitions } = await topicExtent(client, topic)
  assert.equal(partitions[0]?.from, offset)
}

test('a manifest gives the same rows of a topic that has grown, in the way they were read', async () => {
  const topic = await freshTopic(client, 2)
  await put(topic, 0, 200, labelled)
  await put(topic, 0, 20, edited)
  await put(topic, 20, 30, () => null)
  const source = { data: `topic:${topic}` }
  const { path, data } = await manifestOf(source, { 'labels.absent': 'unknown' })
  assert.equal(data.rows, 190)

  await put(topic, 150, 250, edited)
  await put(topic, 100, 110, () => null)
  const now = await read(source, { 'labels.absent': 'unknown' })
  assert.notEqual(now.digest, data.digest)
  // the settings of today do not matter
  assert.deepEqual(await read({ manifest: path }), data)
})

test('records that others had superseded may be deleted; where a row is gone, its place is told', async () => {
  const topic = await freshTopic(client, 2)
  await put(topic, 0, 100, labelled)
  await put(topic, 0, 40, edited)
  const { path, data } = await manifestOf({ data: `topic:${topic}` })

  await deleteRecords(topic, 20)
  assert.deepEqual(await read({ manifest: path }), data)

  await deleteRecords(topic, 30)
  const error = await throwsCode(() => read({ manifest: path }), 'DATA_GONE')
  assert.equal(
    error.message,
    `${path}: ${topic}/0 offsets 20 to 29 are gone (retention or deleted records): it begins at 30 now`,
  )
})

test('rows that compaction has removed are told', async () => {
  const topic = await freshTopic(client, 2, {
    config: {
      'cleanup.policy': 'compact',
      'min.cleanable.dirty.ratio': '0.01',
      'segment.ms': '100',
      'min.compaction.lag.ms': '0',
      'max.compaction.lag.ms': '100',
    },
  })
  await put(topic, 0, 40, labelled)
  const { path, data } = await manifestOf({ data: `topic:${topic}` })
  assert.equal((await read({ manifest: path })).digest, data.digest)

  await put(topic, 4, 10, edited)
  let error: unknown
  let next = 1_000
  const isCompacted = async (): Promise<boolean> => {
    // the cleaner leaves the segment that is written to: another record begins a new one
    await put(topic, next, next + 2, labelled)
    next += 2
    error = await read({ manifest: path }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    return error !== undefined
  }
  await until(isCompacted, 'nothing was compacted')
  assert.ok(error instanceof LabelstreamError)
  assert.equal(error.code, 'DATA_GONE')
  assert.match(
    error.message,
    new RegExp(`${topic}/[01] offsets 0 to 19 have 17 of 20 rows left \\(compaction removed the others\\)`),
  )
})

test('a topic that was created anew is told apart, and taken where it holds the same rows', async () => {
  const topic = await freshTopic(client, 2)
  await put(topic, 0, 60, labelled)
  const { path, data } = await manifestOf({ data: `topic:${topic}` })
  const { topicId } = await topicExtent(client, topic)
  assert.match(topicId ?? '', /^[\w-]{22}$/)

  await withAdmin(client, (admin) => admin.deleteTopics({ topics: [topic] }))
  const isGone = async (): Promise<boolean> => (await checkTopics(client, [topic]))[0]?.exists === false
  await until(isGone, 'the topic is still there')
  await throwsCode(() => read({ manifest: path }), 'TOPIC_MISSING')
  await createTopics(client, [{ topic, partitions: 2 }])
  const anew = await topicExtent(client, topic)
  assert.notEqual(anew.topicId, topicId)

  await put(topic, 0, 20, labelled)
  const error = await throwsCode(() => read({ manifest: path }), 'DATA_GONE')
  assert.equal(
    error.message,
    `${path}: topic ${topic} was created anew (its id is ${anew.topicId ?? ''}, not ${topicId ?? ''}); ` +
      `${topic}/0 ends before offset 10, the manifest reads it up to 30; ` +
      `${topic}/1 ends before offset 10, the manifest reads it up to 30`,
  )

  await put(topic, 20, 60, labelled)
  warnings.length = 0
  const again = await read({ manifest: path })
  assert.equal(again.digest, data.digest)
  assert.match(warnings.join('\n'), /was created anew .* and holds the same rows/)
})

test('rows that were copied to another topic are found there', async () => {
  const [topic, copy] = [await freshTopic(client, 2), await freshTopic(client, 2)]
  await put(topic, 0, 60, labelled)
  await put(copy, 0, 60, labelled)
  const { path, data } = await manifestOf({ data: `topic:${topic}` })
  assert.equal((await read({ manifest: path, data: `topic:${copy}` })).digest, data.digest)

  await put(copy, 10, 12, edited)
  assert.equal((await read({ manifest: path, data: `topic:${copy}` })).digest, data.digest)
  const other = await freshTopic(client, 2)
  await put(other, 0, 60, (number) => (number === 41 ? edited(number) : labelled(number)))
  await throwsCode(
    () => read({ manifest: path, data: `topic:${other}` }),
    'DATA_GONE',
    new RegExp(`${other}/1 offsets 0 to 29 have other rows$`),
  )
})

interface Retrained {
  digest: string
  path: string
  data: { digest: string; rows: number }
}

test('retrain from a topic, and again from the manifest after it has grown: the same model', async () => {
  const topic = await freshTopic(client, 2)
  await put(topic, 0, 60, labelled)
  const models = join(folder, 'models')
  await cp(join(packageRoot, 'models', 'minilm-l6'), join(models, 'minilm-l6'), { recursive: true })
  const retrain = (...data: string[]): Promise<Retrained> =>
    cliJson(
      [
        ...['retrain', ...data, '--kafka-brokers', client.options.brokers.join(',')],
        ...[
          '--models-folder',
          models,
          '--base',
          'minilm-l6',
          '--name',
          'small',
          '--strategy',
          'frozen-linear',
        ],
        ...['--epochs', '2'],
      ],
      { cwd: folder },
    ) as Promise<Retrained>
  const first = await retrain('--data', `topic:${topic}`)
  assert.equal(first.data.rows, 60)

  await put(topic, 0, 20, edited)
  const manifest = join(first.path, 'manifest.json')
  const again = await retrain('--manifest', manifest)
  assert.equal(again.data.digest, first.data.digest)
  assert.equal(again.digest, first.digest)

  const evaluated = (await cliJson(
    [
      'evaluate',
      '--manifest',
      manifest,
      '--part',
      'dev',
      '--model',
      first.path,
      '--kafka-brokers',
      client.options.brokers.join(','),
    ],
    { cwd: folder },
  )) as { rows: number }
  const { data } = JSON.parse(await readFile(manifest, 'utf8')) as { data: { dev: number } }
  assert.equal(evaluated.rows, data.dev)
})
