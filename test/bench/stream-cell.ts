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
  /** Processes of the group, each with one inference process of so many threads. */
  readonly members: number
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
/** The rate is taken between these shares of the texts: neither the start nor the last stragglers count. */
const window = { from: 0.1, to: 0.8 }

/**
 * Starts the members, waits until they share the partitions, loads the texts, and takes the rate from the times at
 * which scores were written.
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
    await loadTopic(client, { topic: topics.input, partitions }, messages)
    await waitUntil(async () => (await countOf(client, topics.scores)) >= texts.length, {
      timeoutMs: scoreTimeoutMs,
      everyMs: lookEveryMs,
      onTimeout: () => new Error(`texts were not scored in time:\n${members[0]?.log ?? ''}`),
    })
    for (const member of members) member.signal('SIGTERM')
    const ended = await Promise.all(members.map((member) => member.ended(startTimeoutMs)))
    const totals = ended.map(({ printed }) => JSON.parse(printed) as MemberTotals)
    const sum = (of: (one: MemberTotals) => number): number =>
      totals.reduce((total, one) => total + of(one), 0)
    const written = await writtenScores(client, topics.scores)
    const textsPerSecond = rateOfTimes(written.timesMs)
    const realTokens = sum((one) => one.realTokens)
    return {
      textsPerSecond,
      tokensPerSecond: (textsPerSecond * realTokens) / sum((one) => one.scored),
      paddingShare: 1 - realTokens / sum((one) => one.paddedTokens),
      peakMemoryBytes: sum((one) => one.peakMemoryBytes),
      inputBytes: messages.reduce((bytes, { value }) => bytes + (value?.length ?? 0), 0) / messages.length,
      outputBytes: written.bytes / written.timesMs.length,
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
  const held = members.map((member) => latestAssignment(member.log))
  const all = held.flatMap((one) => one ?? [])
  return (
    held.every((one) => one !== undefined && (one.length > 0 || members.length > partitions)) &&
    all.length === partitions &&
    new Set(all).size === partitions
  )
}

function latestAssignment(log: string): string[] | undefined {
  const line = log
    .split('\n')
    .filter((one) => one.includes('partitions assigned'))
    .at(-1)
  if (line === undefined) return undefined
  const { partitions } = JSON.parse(line) as { partitions: string }
  return partitions.split(',').filter((partition) => partition !== '')
}

async function countOf(client: KafkaClient, topic: string): Promise<number> {
  const ends = await endOffsets(client, topic)
  return [...ends.values()].reduce((sum, offset) => sum + offset, 0)
}

interface WrittenScores {
  /** Sorted. */
  readonly timesMs: readonly number[]
  readonly bytes: number
  readonly sample: readonly Buffer[]
}

async function writtenScores(client: KafkaClient, topic: string): Promise<WrittenScores> {
  const timesMs: number[] = []
  const sample: Buffer[] = []
  let bytes = 0
  for await (const { timestampMs, key, value, headers } of readRange(client, topic)) {
    timesMs.push(timestampMs)
    if (value !== null && sample.length < sampleEvents) sample.push(value)
    bytes += (key?.length ?? 0) + (value?.length ?? 0)
    for (const [name, header] of Object.entries(headers)) {
      bytes += name.length + (Array.isArray(header) ? header.join('').length : (header?.length ?? 0))
    }
  }
  return { timesMs: timesMs.sort((a, b) => a - b), bytes, sample }
}

/** Events a second between two shares of them; times in milliseconds, sorted. */
export function rateOfTimes(timesMs: readonly number[]): number {
  const from = Math.floor(window.from * (timesMs.length - 1))
  const to = Math.floor(window.to * (timesMs.length - 1))
  return ((to - from) * 1000) / Math.max(1, (timesMs[to] ?? 0) - (timesMs[from] ?? 0))
}
