import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { auditDelivery, type AuditOptions } from '../../src/commands/audit.ts'
import { type AuditReport, faultsOf } from '../../src/commands/audit-report.ts'
import { Stream } from '../../src/commands/stream.ts'
import { writerSchemas } from '../../src/formats/avro-value.ts'
import { decodeLabelScores, labelScoresEncoder, type LabelScores } from '../../src/formats/scores.ts'
import { eventIdOf } from '../../src/formats/text-value.ts'
import { endOffsets, withAdmin } from '../../src/kafka/admin.ts'
import type { KafkaClient } from '../../src/kafka/connect.ts'
import { readRange } from '../../src/kafka/read-range.ts'
import type { WrittenVersion } from '../../src/models/versions.ts'
import { flagOf } from '../../src/settings/declare.ts'
import { freshName, freshTopic, testClient, testWriter } from '../support/broker.ts'
import { runCli } from '../support/cli.ts'
import { collect } from '../support/collect.ts'
import { commandContext, type SettingFlags } from '../support/command-context.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { writeSmallModel } from '../support/small-model.ts'

const partitions = 3
const longText = 'a sentence that goes on and on, '.repeat(40)

let client: KafkaClient
let modelsFolder: string
let model: WrittenVersion
before(async () => {
  client = await testClient()
  modelsFolder = await temporaryFolder()
  model = await writeSmallModel(modelsFolder)
})

/** Topics that `run` has worked through, and the command over them. */
class World {
  readonly topics: { readonly input: string; readonly output: string; readonly deadLetters: string }
  readonly delivery: string
  readonly group = freshName('group')

  private constructor(topics: World['topics'], delivery: string) {
    this.topics = topics
    this.delivery = delivery
  }

  /** 240 messages: 234 texts, 3 that cannot be scored, 3 tombstones. Two output partitions for three of inputs. */
  static async scored(delivery = 'at-least-once'): Promise<World> {
    const input = await freshTopic(client, partitions)
    const world = new World(
      { input, output: await freshTopic(client, 2), deadLetters: await freshTopic(client) },
      delivery,
    )
    for (let partition = 0; partition < partitions; partition++) await world.produce(partition, 80)
    await world.run()
    return world
  }

  /** `run --until-end` */
  async run(flags: SettingFlags = {}): Promise<void> {
    const { settings, log } = commandContext({ ...this.settings, 'http.port': '0', ...flags })
    const stream = await Stream.start(settings, log)
    await stream.untilEnd().finally(() => stream.stop())
  }

  async produce(partition: number, count: number): Promise<void> {
    const values = Array.from({ length: count }, (_, index) => {
      if (index === 7) return null
      if (index === 11) return Buffer.from('{"id": 3,')
      return Buffer.from(index === 20 ? longText : `text ${index} of ${partition}`)
    })
    const messages = values.map((value) => ({ key: Buffer.from('k'), value, headers: {} }))
    await (await testWriter(client)).send(this.topics.input, partition, messages)
  }

  get settings(): SettingFlags {
    return {
      'kafka.brokers': client.options.brokers.join(','),
      group: this.group,
      'input.topic': this.topics.input,
      'output.topic': this.topics.output,
      'deadLetters.topic': this.topics.deadLetters,
      'models.folder': modelsFolder,
      model: `small@${model.version}`,
      delivery: this.delivery,
    }
  }

  get flags(): string[] {
    const set = Object.entries(this.settings).flatMap(([key, value]) => [flagOf(key), value])
    return [...set, '--log-level', 'error']
  }

  /** What the command finds, and the faults that it would end with. */
  async verified(
    options: Partial<AuditOptions> = {},
    flags: SettingFlags = {},
  ): Promise<{ report: AuditReport; faults: string }> {
    const context = commandContext({ ...this.settings, ...flags })
    const report = await auditDelivery(context, { sinceMs: undefined, sample: 0, seed: 0, ...options })
    const faults = faultsOf(report)
    assert.equal(report.holds, faults.length === 0)
    return { report, faults: faults.join('; ') }
  }

  /** Writes the event of an input once more, changed. */
  async forge(partition: number, offset: number, change: (event: LabelScores) => LabelScores): Promise<void> {
    const eventId = eventIdOf({ topic: this.topics.input, partition, offset })
    const schemas = writerSchemas()
    for (const record of await collect(readRange(client, this.topics.output))) {
      const event = record.value === null ? undefined : await decodeLabelScores(record.value, schemas)
      if (event?.eventId !== eventId) continue
      const value = labelScoresEncoder()(change(event))
      const writer = await testWriter(client)
      await writer.send(this.topics.output, record.partition, [{ key: null, value, headers: {} }])
      return
    }
    assert.fail(`there is no event of ${eventId}`)
  }
}

describe('replay --verify after a run', () => {
  test('all holds: every input has its score or dead letter, and every score is that of its model', async () => {
    const world = await World.scored()
    const before = await endOffsets(client, world.topics.output)
    const { report } = await world.verified({ sample: Infinity })
    const { inputs, scored, deadLettered, skipped, missing, duplicated, rescored, differing } = report
    assert.deepEqual(
      { inputs, scored, deadLettered, skipped, missing, duplicated, rescored, differing },
      {
        ...{ inputs: 237, scored: 234, deadLettered: 3, skipped: 3 },
        ...{ missing: 0, duplicated: 0, rescored: 234, differing: 0 },
      },
    )
    assert.ok(report.holds && report.largestDifference < 1e-4)
    assert.deepEqual(
      report.partitions.map((row) => [row.inputs, row.scored, row.deadLettered]),
      Array.from({ length: partitions }, () => [79, 78, 1]),
    )
    assert.deepEqual(await endOffsets(client, world.topics.output), before, 'it writes nothing')

    const cli = await runCli(['replay', '--verify', ...world.flags, '--sample', '20'])
    assert.equal(cli.status, 0, cli.stderr)
    assert.match(cli.stdout, /^all +237 +234 +3 +0 +0 +0 +0 +0 +3$/m)
    assert.match(cli.stdout, /^(20|19|18|17) events scored again, 0 differ/m)
    assert.match(cli.stdout, /^everything holds$/m)
  })

  test('a forged event is named, and with it that its input has two outcomes; its text is not', async () => {
    const world = await World.scored()
    const { input } = world.topics
    await world.forge(1, 5, (event) => ({ ...event, scores: { ...event.scores, first: 0.123 } }))
    const run = await runCli(['replay', '--verify', '--json', ...world.flags, '--sample', 'all'])
    assert.equal(run.status, 1, run.stderr)
    const report = JSON.parse(run.stdout) as AuditReport
    assert.deepEqual([report.holds, report.duplicated, report.differing], [false, 1, 1])
    assert.deepEqual(report.examples.duplicated, [{ topic: input, partition: 1, offset: 5 }])
    assert.ok(report.largestDifference > 0.01)
    assert.match(
      run.stderr,
      new RegExp(`^labelstream: AUDIT_FAILED: 1 .*\\(scores\\) \\(${input}/1/5\\)$`, 'm'),
    )
    assert.ok(!run.stdout.includes('text 5') && !run.stderr.includes('text 5'))

    const strict = await world.verified({}, { delivery: 'exactly-once' })
    assert.match(strict.faults, new RegExp(`^1 with more than one outcome.*${input}/1/5`))
  })

  test('an event whose model is not here is counted, and does not differ', async () => {
    const world = await World.scored()
    await world.forge(2, 30, (event) => ({ ...event, model: { ...event.model, digest: 'f'.repeat(64) } }))
    await world.forge(2, 31, (event) => ({ ...event, model: { ...event.model, name: '../small' } }))
    await world.forge(2, 32, (event) => ({ ...event, model: { ...event.model, precision: 'int4' } }))
    const { report } = await world.verified({ sample: Infinity })
    assert.equal(report.modelMissing, 3)
    const [digest, name, precision] = report.models
    assert.match(digest?.why ?? '', /digest/)
    assert.equal(name?.name, '../small')
    assert.match(precision?.why ?? '', /precision/)
    assert.deepEqual([report.rescored, report.differing, report.holds], [234, 0, true])
  })

  test('inputs that were committed without an outcome are missing', async () => {
    const world = await World.scored()
    const { input } = world.topics
    await world.produce(2, 5)
    assert.equal((await world.verified()).report.missing, 0, 'not committed yet')
    await world.run({ 'output.topic': await freshTopic(client) })
    const { report, faults } = await world.verified()
    assert.equal(report.missing, 5)
    assert.match(faults, new RegExp(`^5 below the committed offset .*\\(${input}/2/80, ${input}/2/81,`))
    const later = await world.verified({ sinceMs: Date.now() + 3_600_000 })
    assert.deepEqual([later.report.inputs, later.report.outside], [0, 237])
  })

  test('exactly once: transaction markers are no inputs, and nothing is doubled', async () => {
    const world = await World.scored('exactly-once')
    const { report } = await world.verified({ sample: 50 })
    assert.deepEqual([report.scored, report.duplicated, report.holds], [234, 0, true])
    assert.ok(report.rescored > 40 && report.rescored <= 50)
  })

  test('where events were deleted their inputs are not called lost; where inputs were, their events are no fault', async () => {
    const world = await World.scored()
    await withAdmin(client, async (admin) => {
      for (const [topic, partition, offset] of [
        [world.topics.output, 1, '30'],
        [world.topics.input, 0, '40'],
      ] as const) {
        // kafkajs looks for the leader in metadata that it does not ask for
        await admin.fetchTopicOffsets(topic)
        await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset }] })
      }
    })
    const { report } = await world.verified({ sample: Infinity })
    // only partition 1 of the inputs goes to partition 1 of the output
    assert.deepEqual([report.eventsGone, report.missing, report.holds], [30, 0, true])
    assert.deepEqual([report.sourceGone, report.inputs], [39, 2 * 79 + 40])
  })
})

test('replay without --verify, with a wrong time or sample, and for a group without offsets is refused', async () => {
  const refused = async (args: readonly string[], names: RegExp): Promise<void> => {
    const run = await runCli(['replay', ...args])
    assert.equal(run.status, 2, run.stderr)
    assert.match(run.stderr, names)
  }
  await refused([], /^labelstream: USAGE: --verify is missing/m)
  await refused(['--verify', '--since', 'yesterday'], /^labelstream: USAGE: --since: yesterday/m)
  await refused(['--verify', '--sample', 'some'], /^labelstream: USAGE: --sample: some/m)
  const flags = [
    '--kafka-brokers',
    client.options.brokers.join(','),
    '--input-topic',
    await freshTopic(client),
  ]
  await refused(['--verify', ...flags, '--group', 'nobody'], /SETTING_INVALID: setting group is nobody/)
})
