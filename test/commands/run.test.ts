import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { waitUntil } from '../../src/core/clock.ts'
import { packageRoot } from '../../src/core/paths.ts'
import { writerSchemas } from '../../src/formats/avro-value.ts'
import { deadLetterReason } from '../../src/formats/dead-letter.ts'
import { decodeLabelScores, type LabelScores } from '../../src/formats/scores.ts'
import { endOffsets } from '../../src/kafka/admin.ts'
import type { KafkaClient } from '../../src/kafka/connect.ts'
import { readRange } from '../../src/kafka/read-range.ts'
import { freshName, freshTopic, testClient, testWriter } from '../support/broker.ts'
import { cliJson, startCli } from '../support/cli.ts'

const partitions = 3

/** What is wrong with a value, by the code of the dead letter it must become. */
const brokenValues: Readonly<Record<string, Buffer>> = {
  INPUT_NOT_UTF8: Buffer.from([0x80, 0xff, 0x41]),
  INPUT_BAD_JSON: Buffer.from('{"id": 3,'),
  INPUT_MISSING_FIELD: Buffer.from('{"id": "x", "body": "y"}'),
  INPUT_EMPTY_TEXT: Buffer.from('{"text": "  "}'),
  INPUT_UNKNOWN_SCHEMA: Buffer.from([0, 0, 0, 0, 9, 1, 2]),
  INPUT_TEXT_TOO_LARGE: Buffer.from(JSON.stringify({ text: 'z'.repeat(150_000) })),
}

interface Totals {
  consumed: number
  scored: number
  deadLettered: number
  skipped: number
  peakMemoryBytes: number
}

/** Topics of one test, their names as flags, and what was put in. */
class World {
  readonly client: KafkaClient
  readonly topics: { input: string; output: string; deadLetters: string }
  readonly texts = new Map<string, string>()
  readonly broken = new Map<string, { code: string; value: Buffer }>()
  tombstones = 0

  private constructor(client: KafkaClient, topics: World['topics']) {
    this.client = client
    this.topics = topics
  }

  static async create(): Promise<World> {
    const client = await testClient()
    const [input, output, deadLetters] = await Promise.all([
      freshTopic(client, partitions),
      freshTopic(client, partitions),
      freshTopic(client, 1),
    ])
    return new World(client, { input, output, deadLetters })
  }

  flags(group = `group-of-${this.topics.input}`): string[] {
    return [
      ...['--kafka-brokers', this.client.options.brokers.join(','), '--group', group, '--http-port', '0'],
      ...['--input-topic', this.topics.input, '--output-topic', this.topics.output],
      ...['--dead-letters-topic', this.topics.deadLetters, '--log-level', 'warn'],
    ]
  }

  /** Spreads texts over the partitions; every `brokenEvery`th message is a broken one or a tombstone. */
  async produce(count: number, brokenEvery = Infinity): Promise<void> {
    const corpus = readFileSync(join(packageRoot, 'examples', 'advice', 'texts.jsonl'), 'utf8')
      .trim()
      .split('\n')
    const codes = Object.keys(brokenValues)
    const byPartition = Array.from({ length: partitions }, () => [] as (Buffer | null)[])
    for (let index = 0; index < count; index++) {
      const partition = index % partitions
      const values = byPartition[partition] ?? []
      const position = `${partition}/${values.length}`
      if (index % brokenEvery === brokenEvery - 1) {
        const turn = Math.floor(index / brokenEvery) % (codes.length + 1)
        const code = codes[turn]
        if (code === undefined) {
          this.tombstones++
          values.push(null)
        } else {
          const value = brokenValues[code] ?? Buffer.alloc(0)
          this.broken.set(position, { code, value })
          values.push(value)
        }
      } else {
        const { text } = JSON.parse(corpus[index % corpus.length] ?? '') as { text: string }
        this.texts.set(position, text)
        values.push(Buffer.from(JSON.stringify({ id: `id-${position}`, text })))
      }
    }
    const writer = await testWriter(this.client)
    for (const [partition, values] of byPartition.entries()) {
      const messages = values.map((value) => ({ key: Buffer.from('key'), value, headers: { trace: 'kept' } }))
      await writer.send(this.topics.input, partition, messages)
    }
  }

  /** Every event of the scores topic, by partition in the order of the topic. */
  async events(): Promise<LabelScores[]> {
    const schemas = writerSchemas()
    const events: LabelScores[] = []
    for await (const { value, headers, key } of readRange(this.client, this.topics.output)) {
      assert.ok(value !== null)
      assert.equal(key?.toString(), 'key')
      assert.equal(String(headers['trace']), 'kept')
      assert.match(String(headers['labelstream-model']), /^advice@/)
      events.push(await decodeLabelScores(value, schemas))
    }
    return events
  }
}

const positionOf = ({ source }: LabelScores): string => `${source.partition}/${source.offset}`

/** Every text has an event; of repetitions, first ones are in input order within each partition. */
async function assertNothingMissing(world: World): Promise<LabelScores[]> {
  const events = await world.events()
  const seen = new Set<string>()
  const last = new Map<number, number>()
  for (const event of events) {
    const position = positionOf(event)
    if (seen.has(position)) continue
    seen.add(position)
    const { partition, offset } = event.source
    assert.ok(offset > (last.get(partition) ?? -1), `order in partition ${partition}`)
    last.set(partition, offset)
  }
  assert.deepEqual([...seen].sort(), [...world.texts.keys()].sort())
  return events
}

before(async () => {
  await testClient()
})

test('run --until-end: each input has one event or one dead letter with its bytes unchanged, and the totals say so', async () => {
  const world = await World.create()
  await world.produce(600, 10)
  const totals = (await cliJson(['run', '--until-end', ...world.flags()])) as Totals
  assert.equal(totals.consumed, 600)
  assert.equal(totals.scored, world.texts.size)
  assert.equal(totals.deadLettered, world.broken.size)
  assert.equal(totals.skipped, world.tombstones)
  assert.ok(totals.peakMemoryBytes > 0)

  const events = await assertNothingMissing(world)
  assert.equal(events.length, world.texts.size, 'no repetitions in an undisturbed run')
  let letters = 0
  for await (const letter of readRange(world.client, world.topics.deadLetters)) {
    letters++
    const reason = deadLetterReason(letter.headers)
    const broken = world.broken.get(`${reason?.partition}/${reason?.offset}`)
    assert.equal(reason?.code, broken?.code)
    assert.deepEqual(letter.value, broken?.value)
    assert.equal(letter.key?.toString(), 'key')
    assert.equal(String(letter.headers['trace']), 'kept')
  }
  assert.equal(letters, world.broken.size)

  const again = (await cliJson(['run', '--until-end', ...world.flags()])) as Totals
  assert.equal(again.consumed, 0, 'everything was committed')

  const input = [...world.texts.values()].map((text) => JSON.stringify({ text })).join('\n')
  const scored = (await cliJson(['score'], { input })) as {
    results: { text: string; scores: Record<string, number> }[]
  }
  const byText = new Map(scored.results.map(({ text, scores }) => [text, scores]))
  for (const event of events) {
    const alone = byText.get(world.texts.get(positionOf(event)) ?? '') ?? {}
    for (const [label, score] of Object.entries(event.scores)) {
      assert.ok(Math.abs(score - (alone[label] ?? NaN)) < 1e-4, `${label} of ${event.eventId}`)
    }
  }
})

test('run: SIGTERM ends it in order, kill -9 does not lose anything, a restart goes on', async () => {
  const world = await World.create()
  await world.produce(900)
  const published = async (): Promise<number> =>
    [...(await endOffsets(world.client, world.topics.output)).values()].reduce(
      (sum, offset) => sum + offset,
      0,
    )
  const untilPublished = (more: number) =>
    waitUntil(async () => (await published()) >= more, {
      timeoutMs: 120_000,
      onTimeout: () => new Error(`no ${more} events were published`),
    })

  const first = startCli(['run', ...world.flags()])
  await untilPublished(1)
  first.child.kill('SIGTERM')
  const ended = await first.ended
  assert.equal(ended.status, 0, ended.stderr)

  await world.produce(900)
  const second = startCli(['run', ...world.flags()])
  await untilPublished((await published()) + 1)
  second.child.kill('SIGKILL')
  await second.ended

  await cliJson(['run', '--until-end', ...world.flags()])
  const events = await world.events()
  const positions = new Set(events.map(positionOf))
  assert.equal(positions.size, 1_800)
})

test('run serves metrics and readiness on loopback while it runs, and says what it measured at its start', async () => {
  const world = await World.create()
  await world.produce(30)
  const { child, ended } = startCli([
    'run',
    ...world.flags(freshName('group')),
    '--log-level',
    'info',
    '--log-format',
    'json',
    ...['--runtime-plan', 'measured', '--batch-budget-tokens', '0'],
  ])
  let log = ''
  child.stderr?.on('data', (chunk: string) => (log += chunk))
  const address = (): string | undefined => /"metrics":"([^"]+)"/.exec(log)?.[1]
  await waitUntil(() => address() !== undefined, { timeoutMs: 60_000, onTimeout: () => new Error(log) })
  const metricsUrl = address() ?? ''
  assert.match(metricsUrl, /^http:\/\/127\.0\.0\.1:/)
  let page = ''
  await waitUntil(
    async () => {
      page = await (await fetch(metricsUrl)).text()
      return /^labelstream_scored_total\{model="advice@[^"]+"\} 30$/m.test(page)
    },
    { timeoutMs: 60_000, onTimeout: () => new Error(page) },
  )
  assert.equal((await fetch(metricsUrl.replace('/metrics', '/readyz'))).status, 200)
  assert.match(
    page,
    /^labelstream_model_info\{name="advice",version="[^"]+",digest="[0-9a-f]{64}",provider="\w+",precision="\w+"\} 1$/m,
  )
  assert.match(log, /"processes":\d+,"threads":\d+,"why":"[^"]+","msg":"processes chosen"/)
  assert.match(log, /"budgetTokens":\d+,"why":"[^"]+","msg":"batch budget chosen"/)
  assert.match(page, new RegExp(`^labelstream_consumed_total\\{topic="${world.topics.input}"\\} 30$`, 'm'))
  for (const text of world.texts.values()) assert.ok(!page.includes(text) && !log.includes(text))
  child.kill('SIGINT')
  assert.equal((await ended).status, 130)
})
