import { asLabelstreamError, LabelstreamError } from '../core/errors.ts'
import { writerSchemas, type WriterSchemas } from '../formats/avro-value.ts'
import { deadLetterReason } from '../formats/dead-letter.ts'
import type { SourceMessage } from '../formats/message.ts'
import { decodeLabelScores, type LabelScores } from '../formats/scores.ts'
import { beginningOffsets, committedOffsets, offsetsSince, topicExtent } from '../kafka/admin.ts'
import type { KafkaClient } from '../kafka/connect.ts'
import { readRange } from '../kafka/read-range.ts'
import { settledExtent, type SettledExtent } from '../kafka/settled-extent.ts'
import { isCompacted } from '../kafka/topic-config.ts'
import { AuditSample } from '../stream/audit-sample.ts'
import type { OutcomeKind } from '../stream/audited-offsets.ts'
import { type AuditedRange, DeliveryAudit } from '../stream/delivery-audit.ts'
import type { OutcomeTopic } from '../stream/outcome-order.ts'
import { Rescorer } from '../stream/rescorer.ts'
import { auditReport, type AuditReport } from './audit-report.ts'
import type { CommandContext } from './command.ts'
import { kafkaClientOf } from './kafka-client.ts'
import { ProgressBar } from './progress.ts'
import { registryOf } from './registry-client.ts'
import { startNamedModel } from './named-model.ts'
import { SampledEvents } from './sampled-events.ts'

export interface AuditOptions {
  /** Inputs before this time (Unix milliseconds) are left out. */
  readonly sinceMs: number | undefined
  /** How many inputs' events are scored again; Infinity for all. */
  readonly sample: number
  readonly seed: number
}

/** Places named of each kind of fault. */
const examples = 10

/**
 * Compares what is on the topics of scores and dead letters with the inputs that the group has committed. Joins no
 * group and writes nothing. Throws SETTING_INVALID when the group has committed nothing, INTERRUPTED, and what
 * reading and scoring throw.
 */
export async function auditDelivery(context: CommandContext, options: AuditOptions): Promise<AuditReport> {
  const { settings, log } = context
  const client = kafkaClientOf(settings, log)
  const topic = settings['input.topic']
  const ranges = await auditedRanges(context, client, options.sinceMs)
  // after the committed offsets: what is below them is then in here
  const outcomes = {
    score: await outcomeTopic(client, settings['output.topic']),
    deadLetter: await outcomeTopic(client, settings['deadLetters.topic']),
  }
  const audit = new DeliveryAudit({
    topic,
    ranges,
    scores: outcomes.score.topic,
    deadLetters: outcomes.deadLetter.topic,
    examples,
  })
  const sample = new AuditSample(options.sample, options.seed)
  const schemas = writerSchemas(registryOf(settings))
  const bar = new ProgressBar(log)
  const rescorer = new Rescorer({ start: (model) => startNamedModel(context, model), examples })
  const sampled = new SampledEvents(context, client, schemas, rescorer)
  const inputs = {
    from: new Map(ranges.map((range) => [range.partition, range.from])),
    to: new Map(ranges.map((range) => [range.partition, range.to])),
  }
  /** Whether the record is an event of ours. */
  const noteScore = async ({ value, partition }: SourceMessage): Promise<boolean> => {
    const event = value === null ? undefined : await scoresOrNone(value, schemas)
    if (event === undefined) return false
    const { timestamp, ...source } = event.source
    const isInput = audit.outcome('score', partition, { ...source, timestampMs: timestamp })
    if (isInput && sample.has(source.partition, source.offset)) await sampled.add(event)
    return true
  }
  const noteDeadLetter = ({ headers, partition }: SourceMessage): boolean => {
    const reason = deadLetterReason(headers)
    if (reason !== undefined) audit.outcome('deadLetter', partition, reason)
    return reason !== undefined
  }
  let foreign = 0
  try {
    for await (const message of watched(context, bar, 'inputs', readRange(client, topic, inputs), inputs)) {
      audit.input(message)
      if (message.value !== null) sample.offer(message.partition, message.offset)
    }
    for (const kind of ['score', 'deadLetter'] as const) {
      const { name, extent } = outcomes[kind]
      const records = readRange(client, name, { to: extent.to })
      for await (const record of watched(context, bar, phases[kind], records, extent)) {
        audit.record(kind, record)
        const known = kind === 'score' ? await noteScore(record) : noteDeadLetter(record)
        if (!known) foreign++
      }
      audit.beginnings(kind, await beginningOffsets(client, name))
    }
    await sampled.flush()
  } finally {
    bar.close()
    await rescorer.close()
  }
  const { group, delivery } = settings
  return auditReport({ group, delivery, foreign, counted: audit.findings(), rescoring: rescorer.findings() })
}

const phases: Readonly<Record<OutcomeKind, string>> = { score: 'scores', deadLetter: 'letters' }

/** What is looked at: from the first record that is there, or of that time, to what the group has committed. */
async function auditedRanges(
  { settings, log }: CommandContext,
  client: KafkaClient,
  sinceMs: number | undefined,
): Promise<AuditedRange[]> {
  const topic = settings['input.topic']
  const { group } = settings
  const committed = await committedOffsets(client, group, topic)
  if (committed.size === 0) {
    throw new LabelstreamError(
      'SETTING_INVALID',
      `setting group is ${group}, and that group has committed nothing on topic ${topic}: there is nothing to verify`,
    )
  }
  const since = sinceMs === undefined ? undefined : await offsetsSince(client, topic, sinceMs)
  const { partitions } = await topicExtent(client, topic)
  return partitions.map(({ partition, from: beginning, to: end }) => {
    const from = Math.max(beginning, since?.get(partition) ?? beginning)
    const reached = committed.get(partition) ?? 0
    if (reached <= end) return { partition, beginning, from, to: Math.max(from, reached) }
    log.warn(
      `${topic}/${partition} ends at ${end}, and the group has committed ${reached}: it is another log of that name, and is left out`,
    )
    return { partition, beginning, from, to: from }
  })
}

async function outcomeTopic(
  client: KafkaClient,
  name: string,
): Promise<{ readonly name: string; readonly extent: SettledExtent; readonly topic: OutcomeTopic }> {
  const extent = await settledExtent(client, name)
  return { name, extent, topic: { beginnings: extent.from, compacted: await isCompacted(client, name) } }
}

/** The records, with progress by their offsets, until the user interrupts. */
async function* watched(
  { interrupted }: CommandContext,
  bar: ProgressBar,
  phase: string,
  records: AsyncIterable<SourceMessage>,
  { from, to }: SettledExtent,
): AsyncGenerator<SourceMessage, void, undefined> {
  const sizeOf = (partition: number): number =>
    Math.max(0, (to.get(partition) ?? 0) - (from.get(partition) ?? 0))
  const total = [...to.keys()].reduce((sum, partition) => sum + sizeOf(partition), 0)
  let before = 0
  let current: number | undefined
  let count = 0
  for await (const record of records) {
    if (interrupted.aborted) throw new LabelstreamError('INTERRUPTED', 'the audit was interrupted')
    if (record.partition !== current) {
      if (current !== undefined) before += sizeOf(current)
      current = record.partition
    }
    if (count++ % 256 === 0) {
      const done = before + record.offset - (from.get(current) ?? 0)
      bar.update({ phase, done, total })
    }
    yield record
  }
}

/** The event of a record; undefined where it holds none, or one that names no place. */
async function scoresOrNone(value: Buffer, schemas: WriterSchemas): Promise<LabelScores | undefined> {
  try {
    const event = await decodeLabelScores(value, schemas)
    const { partition, offset } = event.source
    return Number.isSafeInteger(partition) && Number.isSafeInteger(offset) ? event : undefined
  } catch (error) {
    if (asLabelstreamError(error).disposition === 'dead-letter') return undefined
    throw error
  }
}
