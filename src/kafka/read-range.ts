import type { Cluster, KafkaMessage } from 'kafkajs'
import { backoffMs } from '../core/backoff.ts'
import { monotonicMs, sleep } from '../core/clock.ts'
import type { SourceMessage } from '../formats/message.ts'
import { type AbortedTransaction, hiddenRecords } from './aborted.ts'
import { listOffsets, type PartitionOffsets } from './admin.ts'
import { openCluster, partitionsOf } from './cluster.ts'
import type { KafkaClient } from './connect.ts'
import { protocolErrorType } from './errors.ts'
import { offsetAfter, ownMessage } from './fetched-batch.ts'

export interface RangeOptions {
  /** First offset per partition; a partition without one is read from its beginning. */
  readonly from?: PartitionOffsets | undefined
  /** One past the last offset per partition. Default: the end offsets at the start of the scan. */
  readonly to?: PartitionOffsets | undefined
  /** Nothing but these offsets, per partition and ascending; what lies between them is not fetched. */
  readonly only?: ReadonlyMap<number, readonly number[]> | undefined
}

/** What one fetch of one partition brings; kafkajs declares it as any. */
interface FetchAnswer {
  readonly responses: readonly {
    readonly partitions: readonly {
      readonly partition: number
      readonly abortedTransactions?: readonly AbortedTransaction[] | null
      readonly messages: readonly KafkaMessage[]
    }[]
  }[]
}

const smallestFetchBytes = 1_048_576
const largestFetchBytes = 67_108_864
const readCommitted = 1

/** How long a scan goes on without an answer before it gives up. */
const patienceMs = 60_000

/**
 * Reads a topic between two offsets, read_committed, one partition after the other and each in offset order,
 * then ends. No consumer group takes part, so nothing is joined, committed or left behind. At most one fetch
 * is in memory: the next one is asked for when the loop over the messages gets there.
 * Throws TOPIC_MISSING, ACCESS_DENIED, BROKER_UNREACHABLE (after a minute without an answer), RECORDS_CORRUPT.
 */
export async function* readRange(
  client: KafkaClient,
  topic: string,
  options: RangeOptions = {},
): AsyncGenerator<SourceMessage, void, undefined> {
  const opened = await openCluster(client, [topic], `reading topic ${topic}`)
  try {
    const { cluster } = opened
    const end = options.to ?? (await listOffsets(cluster, topic, 'end'))
    for (const partition of partitionsOf(cluster, topic)) {
      const only = options.only === undefined ? undefined : (options.only.get(partition) ?? [])
      // in its turn: retention goes on while the partitions before it are read
      const first = (await listOffsets(cluster, topic, 'beginning')).get(partition) ?? 0
      const from = Math.max(options.from?.get(partition) ?? first, first)
      yield* readPartition(client, cluster, { topic, partition, from, to: end.get(partition) ?? 0, only })
    }
  } catch (error) {
    throw client.error(error, { doing: `reading topic ${topic}`, topic })
  } finally {
    await opened.close()
  }
}

interface PartitionRange {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly to: number
  readonly only: readonly number[] | undefined
}

async function* readPartition(
  client: KafkaClient,
  cluster: Cluster,
  range: PartitionRange,
): AsyncGenerator<SourceMessage, void, undefined> {
  const { topic, partition, to, only } = range
  const smallest = only === undefined ? smallestFetchBytes : smallestFetchBytes / 16
  const isWanted = only === undefined ? () => true : memberOf(only)
  let place = 0
  /** The next wanted offset that is not below this one. */
  const wantedFrom = (offset: number): number => {
    if (only === undefined) return offset
    while ((only[place] ?? Infinity) < offset) place++
    return only[place] ?? to
  }
  let offset = wantedFrom(range.from)
  let maxBytes = smallest
  while (offset < to) {
    const { records, aborted } = await fetchPatiently(client, cluster, { topic, partition, offset, maxBytes })
    const next = offsetAfter(records)
    if (next === undefined) {
      // Below the end, no record: compaction left record batches that are empty, and kafkajs does not say where
      // they end. A larger answer reaches over them; when the largest does not, there is nothing behind them.
      if (maxBytes >= largestFetchBytes) return
      maxBytes *= 4
      continue
    }
    maxBytes = smallest
    const hidden = hiddenRecords(records, aborted)
    for (const [index, record] of records.entries()) {
      const recordOffset = Number(record.offset)
      // a record batch is sent whole, also when we ask for its middle
      if (recordOffset < offset || recordOffset >= to || hidden[index] === true) continue
      if (isWanted(recordOffset)) yield ownMessage(topic, partition, record)
    }
    offset = wantedFrom(next)
  }
}

function memberOf(offsets: readonly number[]): (offset: number) => boolean {
  const wanted = new Set(offsets)
  return (offset) => wanted.has(offset)
}

interface FetchRequest {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly maxBytes: number
}

interface FetchedRecords {
  readonly records: readonly KafkaMessage[]
  readonly aborted: readonly AbortedTransaction[]
}

async function fetchPatiently(
  client: KafkaClient,
  cluster: Cluster,
  request: FetchRequest,
): Promise<FetchedRecords> {
  const startedMs = monotonicMs()
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchOnce(cluster, request)
    } catch (error) {
      const { topic, partition } = request
      const fault = client.error(error, { doing: `reading ${topic}/${partition}`, topic })
      const mayPass = fault.disposition === 'retry' && protocolErrorType(error) !== 'OFFSET_OUT_OF_RANGE'
      if (!mayPass || monotonicMs() - startedMs > patienceMs) throw fault
      await sleep(backoffMs(attempt))
      // the leader may be another broker by now; when nobody answers, the next fetch says so
      await cluster.refreshMetadata().catch(() => {})
    }
  }
}

async function fetchOnce(cluster: Cluster, request: FetchRequest): Promise<FetchedRecords> {
  const { topic, partition, offset, maxBytes } = request
  const leader = Object.keys(cluster.findLeaderForPartitions(topic, [partition]))[0] ?? ''
  const broker = await cluster.findBroker({ nodeId: leader })
  const answer = (await broker.fetch({
    isolationLevel: readCommitted,
    maxWaitTime: 500,
    minBytes: 1,
    maxBytes,
    topics: [{ topic, partitions: [{ partition, fetchOffset: String(offset), maxBytes }] }],
  })) as FetchAnswer
  const rows = answer.responses.flatMap(({ partitions }) => partitions)
  const row = rows.find((one) => one.partition === partition)
  return { records: row?.messages ?? [], aborted: row?.abortedTransactions ?? [] }
}
