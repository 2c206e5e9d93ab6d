import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { waitUntil } from '../../src/core/clock.ts'
import { endOffsets } from '../../src/kafka/admin.ts'
import type { KafkaClient } from '../../src/kafka/connect.ts'
import { readRange } from '../../src/kafka/read-range.ts'
import { Member, logPath } from '../fault/member.ts'
import { benchMessage } from '../../src/commands/bench-texts.ts'
import { type BenchBroker, loadTopic, makeTopics } from './broker.ts'

/** One group at work. */
export interface CellOptions {
  /** Model folder. */
  readonly model: string
  readonly precision: string
  readonly members: number
  /** Inference processes of each member, and threads of each of these. */
  readonly processes: number
  readonly threads: number
  readonly partitions: number
  readonly texts: readonly string[]
  /** For logs. */
  readonly folder: string
}

export interface CellFigures {
  readonly textsPerSecond: number
  /** Tokens a second without padding. */
  readonly tokensPerSecond: number
  readonly paddingShare: number
  /** Of all processes of the group. */
  readonly peakMemoryBytes: number
  /** Value, key and headers of one message, on average. */
  readonly inputBytes: number
  readonly outputBytes: number
  /** Of the value alone, compressed with its neighbours as a producer compresses a batch. */
  readonly outputGzipBytes: number
}

const cliFile = fileURLToPath(new URL('../../src/cli.js', import.meta.url))
const startTimeoutMs = 120_000
const scoreTimeoutMs = 300_000
const lookEveryMs = 500
const sampleEvents = 100
/** Texts that are scored before the clock starts: memory is taken and code compiled in them. */
const warmup = { share: 0.2, most: 300 }

/**
 * Starts the members, waits until they share the partitions and have scored a few texts, then loads the texts. The
 * rate is theirs from the writing of the first text to the writing of the last score.
 */
export async function measureCell(broker: BenchBroker, options: CellOptions): Promise<CellFigures> {
  const { client } = broker
  const { members: count, partitions, texts } = options
  const topics = await makeTopics(client, partitions)
  const members = Array.from(
    { length: count },
    (_none, index) =>
      new Member({
        cliFile,
        logFile: logPath(options.folder, `${topics.group}-${index}`),
        settings: {
          'kafka.brokers': broker.brokers.join(','),
          'input.topic': topics.input,
          'output.topic': topics.scores,
          'deadLetters.topic': topics.deadLetters,
          group: topics.group,
          model: options.model,
          'runtime.provider': 'cpu',
          'runtime.precision': options.precision,
          'runtime.processes': options.processes,
          'runtime.threads': options.threads,
          // texts that are taken in a circle would come from memory
          'stream.cacheEntries': 0,
          'http.port': 0,
          'log.format': 'json',
        },
      }),
  )
  try {
    await waitUntil(() => sharesOut(members, partitions), {
      timeoutMs: startTimeoutMs,
      everyMs: 200,
      onTimeout: () => new Error(`the group does not share its partitions:\n${members[0]?.log ?? ''}`),
    })
    const messages = texts.map(benchMessage)
    const first = messages.slice(0, Math.min(warmup.most, Math.ceil(warmup.share * messages.length)))
    const input = { topic: topics.input, partitions }
    const scored = (count: number) =>
      waitUntil(async () => (await countOf(client, topics.scores)) >= count, {
        timeoutMs: scoreTimeoutMs,
        everyMs: lookEveryMs,
        onTimeout: () => new Error(`texts were not scored in time:\n${members[0]?.log ?? ''}`),
      })
    await loadTopic(client, input, first)
    await scored(first.length)
    const startedMs = await loadTopic(client, input, messages)
    await scored(first.length + messages.length)
    for (const member of members) member.signal('SIGTERM')
    const ended = await Promise.all(members.map((member) => member.ended(startTimeoutMs)))
    const totals = ended.map(({ printed }) => JSON.parse(printed) as MemberTotals)
    const sum = (of: (one: MemberTotals) => number): number =>
      totals.reduce((total, one) => total + of(one), 0)
    const written = await writtenScores(client, topics.scores)
    const textsPerSecond = (1000 * messages.length) / (written.lastMs - startedMs)
    const realTokens = sum((one) => one.realTokens)
    return {
      textsPerSecond,
      tokensPerSecond: (textsPerSecond * realTokens) / sum((one) => one.scored),
      paddingShare: 1 - realTokens / sum((one) => one.paddedTokens),
      peakMemoryBytes: sum((one) => one.peakMemoryBytes),
      inputBytes: messages.reduce((bytes, { value }) => bytes + (value?.length ?? 0), 0) / messages.length,
      outputBytes: written.bytes / written.events,
      outputGzipBytes: gzipSync(Buffer.concat(written.sample)).length / written.sample.length,
    }
  } finally {
    await Promise.all(members.filter(({ running }) => running).map((member) => member.kill()))
  }
}

/** Of what `run --json` prints at its end. */
interface MemberTotals {
  readonly scored: number
  readonly realTokens: number
  readonly paddedTokens: number
  readonly peakMemoryBytes: number
}

/** Every member has partitions by its latest assignment (as far as they go round), and each partition is with one. */
function sharesOut(members: readonly Member[], partitions: number): boolean {
  const held = members.map(latestAssignment)
  const all = held.flatMap((one) => one ?? [])
  return (
    held.every((one) => one !== undefined && (one.length > 0 || members.length > partitions)) &&
    all.length === partitions &&
    new Set(all).size === partitions
  )
}

function latestAssignment({ logged }: Member): string[] | undefined {
  const line = logged.findLast(({ msg }) => msg === 'partitions assigned')
  if (line === undefined) return undefined
  return String(line['partitions'])
    .split(',')
    .filter((partition) => partition !== '')
}

async function countOf(client: KafkaClient, topic: string): Promise<number> {
  const ends = await endOffsets(client, topic)
  return [...ends.values()].reduce((sum, offset) => sum + offset, 0)
}

interface WrittenScores {
  readonly events: number
  readonly lastMs: number
  readonly bytes: number
  readonly sample: readonly Buffer[]
}

async function writtenScores(client: KafkaClient, topic: string): Promise<WrittenScores> {
  let events = 0
  let lastMs = 0
  const sample: Buffer[] = []
  let bytes = 0
  for await (const { timestampMs, key, value, headers } of readRange(client, topic)) {
    events++
    lastMs = Math.max(lastMs, timestampMs)
    if (value !== null && sample.length < sampleEvents) sample.push(value)
    bytes += (key?.length ?? 0) + (value?.length ?? 0)
    for (const [name, header] of Object.entries(headers)) {
      bytes += name.length + (Array.isArray(header) ? header.join('').length : (header?.length ?? 0))
    }
  }
  return { events, lastMs, bytes, sample }
}
