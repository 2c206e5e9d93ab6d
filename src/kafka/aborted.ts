import type { Broker, Cluster, KafkaMessage } from 'kafkajs'

/** What kafkajs 2.2.4 keeps on a record beside its declared type. */
interface TransactionFields {
  readonly isControlRecord?: unknown
  readonly batchContext?: { readonly producerId?: unknown; readonly inTransaction?: unknown } | undefined
}

/** A transaction that was aborted: its producer, and the offset of its first record. */
export interface AbortedTransaction {
  readonly producerId: string
  readonly firstOffset: string
}

const abortMarkerKey = Buffer.from([0, 0, 0, 0])

/**
 * For each record of a fetch, in offset order, whether a read_committed reader must not see it: it belongs to
 * an aborted transaction or marks the end of one. As Kafka's own CompletedFetch does it: the list of aborted
 * transactions is not sorted, and several of them can be under way at the first record. (kafkajs takes the
 * list for sorted and starts at most one transaction per record, so it lets aborted records through.)
 */
export function hiddenRecords(
  records: readonly KafkaMessage[],
  aborted: readonly AbortedTransaction[],
): boolean[] {
  const waiting = aborted
    .map(({ producerId, firstOffset }) => ({ producerId, firstOffset: Number(firstOffset) }))
    .sort((a, b) => a.firstOffset - b.firstOffset)
  const underWay = new Set<string>()
  return records.map((record) => {
    const { isControlRecord, batchContext } = record as KafkaMessage & TransactionFields
    const producerId = String(batchContext?.producerId)
    const offset = Number(record.offset)
    for (let next = waiting[0]; next !== undefined && next.firstOffset <= offset; next = waiting[0]) {
      underWay.add(next.producerId)
      waiting.shift()
    }
    if (isControlRecord === true) {
      if (record.key !== null && abortMarkerKey.equals(record.key)) underWay.delete(producerId)
      return true
    }
    return batchContext?.inTransaction === true && underWay.has(producerId)
  })
}

/** One partition's part of a fetch answer, as kafkajs's broker returns it. */
interface FetchedPartition {
  abortedTransactions?: readonly AbortedTransaction[] | null
  readonly messages: readonly (KafkaMessage & { isControlRecord?: boolean })[]
}

/**
 * Makes a kafkajs cluster's brokers answer fetches with the hidden records marked as control records, which
 * kafkajs passes over but counts; its own filter finds nothing left to do.
 */
export function hideAborted(cluster: Cluster): void {
  const findBroker = cluster.findBroker.bind(cluster)
  const wrapped = new WeakSet<Broker>()
  cluster.findBroker = async (node) => {
    const broker = await findBroker(node)
    if (wrapped.has(broker)) return broker
    wrapped.add(broker)
    const fetch = broker.fetch.bind(broker)
    broker.fetch = async (request) => {
      const answer = (await fetch(request)) as {
        readonly responses: readonly { readonly partitions: FetchedPartition[] }[]
      }
      for (const { partitions } of answer.responses) partitions.forEach(markHidden)
      return answer
    }
    return broker
  }
}

function markHidden(partition: FetchedPartition): void {
  const hidden = hiddenRecords(partition.messages, partition.abortedTransactions ?? [])
  partition.abortedTransactions = []
  for (const [index, message] of partition.messages.entries()) {
    if (hidden[index] === true) message.isControlRecord = true
  }
}
