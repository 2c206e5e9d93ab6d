import { monotonicMs, sleep, withDeadline } from '../core/clock.ts'
import { LabelstreamError } from '../core/errors.ts'
import type { OutgoingMessage } from '../formats/message.ts'
import { Writer } from '../kafka/writer.ts'
import type { Settings } from '../settings/catalogue.ts'
import { promiseWithSettlers } from '../stream/end-watch.ts'
import { benchMessage, benchPartitions } from './bench-texts.ts'
import type { CommandContext } from './command.ts'
import { kafkaClientOf } from './kafka-client.ts'
import { percentile } from './percentile.ts'
import { Stream } from './stream.ts'

/** A rate as it was asked for: texts a second, or a share of what the stream does with a full backlog. */
export type AskedRate = { readonly perSecond: number } | { readonly capacityShare: number }

const mostPerSecond = 1_000_000
const mostPercent = 1_000

/** Rates separated by commas: `100` is texts a second, `50%` half of the capacity. Throws USAGE. */
export function askedRates(text: string): readonly AskedRate[] {
  return text.split(',').map((word) => {
    const [, number, percent] = /^\s*(\d+(?:\.\d+)?)(%?)\s*$/.exec(word) ?? []
    const value = Number(number)
    if (percent === '%' && value > 0 && value <= mostPercent) return { capacityShare: value / 100 }
    if (percent === '' && value > 0 && value <= mostPerSecond) return { perSecond: value }
    throw new LabelstreamError(
      'USAGE',
      `--rate: ${word.trim()} is neither texts a second (up to ${mostPerSecond}) nor a percentage of the capacity (up to ${mostPercent}%)`,
    )
  })
}

/** Texts a second, where the stream does `capacity` of them with a full backlog. */
export const perSecondOf = (asked: AskedRate, capacity: number): number =>
  'perSecond' in asked ? asked.perSecond : asked.capacityShare * capacity

export interface RateFigures {
  /** Messages a second that were meant to be sent. */
  readonly wantedPerSecond: number
  /** Acknowledged scores a second, from the first intended send to the last acknowledgement. */
  readonly achievedPerSecond: number
  /** From the intended time of a message to the acknowledgement of its score. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly worstMs: number
}

/** Between two looks at the schedule, as long as Kafka's own producer waits for more: what is due goes in one request. */
const tickMs = 5
/** Sent and not counted before: a stream that has just started still compiles its code. */
export const warmUpSeconds = 3
/** How long after the last message the last score may take. */
const patienceMs = 120_000

/** When message `index` is due, in milliseconds after the start, at so many messages a second. */
export const dueMs = (index: number, perSecond: number): number => (index * 1000) / perSecond

/**
 * Open loop: messages go out on a fixed schedule, whatever becomes of those before, and a latency counts from the
 * time at which the message was due. So a stall is paid for by every message that was due meanwhile, and nothing is
 * left out by waiting for answers (coordinated omission). The topics are empty before. What is due in the first
 * `warmUpSeconds` is not counted.
 */
export async function atRate(
  context: CommandContext,
  settings: Settings,
  texts: readonly string[],
  perSecond: number,
): Promise<RateFigures> {
  const latenciesMs: number[] = []
  const uncounted = Math.ceil(warmUpSeconds * perSecond)
  let startMs = Infinity
  let lastAckMs = 0
  let scored = 0
  const done = promiseWithSettlers()
  const stream = await Stream.start(settings, context.log, (_seconds, { partition, offset }) => {
    lastAckMs = monotonicMs()
    const index = offset * benchPartitions + partition
    if (index >= uncounted) latenciesMs.push(lastAckMs - startMs - dueMs(index, perSecond))
    if (++scored === texts.length) done.resolve()
  })
  const writer = await Writer.connect(kafkaClientOf(settings, context.log))
  try {
    // joining the group takes a while, and is no latency of a message
    await stream.untilEnd()
    startMs = monotonicMs()
    await sendOnSchedule(writer, settings['input.topic'], texts, { startMs, perSecond })
    const failed = stream.finished.then(() => undefined)
    await withDeadline(Promise.race([done.promise, failed]), patienceMs, () => notDone(texts.length - scored))
  } finally {
    await writer.close()
    await stream.stop()
  }
  latenciesMs.sort((a, b) => a - b)
  return {
    wantedPerSecond: perSecond,
    achievedPerSecond: latenciesMs.length / ((lastAckMs - startMs - dueMs(uncounted, perSecond)) / 1000),
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
    p999Ms: percentile(latenciesMs, 0.999),
    worstMs: latenciesMs.at(-1) ?? 0,
  }
}

/** Resolves when all are durable; a send is not waited for before the next one. */
async function sendOnSchedule(
  writer: Writer,
  topic: string,
  texts: readonly string[],
  { startMs, perSecond }: { startMs: number; perSecond: number },
): Promise<void> {
  const sends: Promise<void>[] = []
  let next = 0
  while (next < texts.length) {
    const elapsedMs = monotonicMs() - startMs
    const due: OutgoingMessage[][] = Array.from({ length: benchPartitions }, () => [])
    for (; next < texts.length && dueMs(next, perSecond) <= elapsedMs; next++) {
      due[next % benchPartitions]?.push(benchMessage(texts[next] ?? '', next))
    }
    for (const [partition, messages] of due.entries()) {
      if (messages.length > 0) sends.push(writer.send(topic, partition, messages))
    }
    if (next < texts.length) await sleep(Math.max(tickMs, dueMs(next, perSecond) - (monotonicMs() - startMs)))
  }
  await Promise.all(sends)
}

const notDone = (missing: number): LabelstreamError =>
  new LabelstreamError('INTERNAL', `${missing} scores were still missing two minutes after the last message`)
