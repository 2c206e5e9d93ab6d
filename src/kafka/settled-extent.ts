import { waitUntil } from '../core/clock.ts'
import { LabelstreamError } from '../core/errors.ts'
import { beginningOffsets, endOffsets, listOffsets, type PartitionOffsets } from './admin.ts'
import { withCluster } from './cluster.ts'
import type { KafkaClient } from './connect.ts'

/** What a read_committed reader can see of a topic: the first offset that is there and one past the last, by partition. */
export interface SettledExtent {
  readonly from: PartitionOffsets
  readonly to: PartitionOffsets
}

/** The brokers end a transaction of a member that died in 30 s at most. */
const usualPatienceMs = 60_000

/**
 * The extent of a topic with all in it that was written before the call and is committed: transactions that are open
 * are waited for, since the offsets of a transaction can be seen a moment before its records.
 * Throws BROKER_ERROR when one stays open for a minute, TOPIC_MISSING and what `withCluster` throws.
 */
export async function settledExtent(
  client: KafkaClient,
  topic: string,
  patienceMs = usualPatienceMs,
): Promise<SettledExtent> {
  const written = await withCluster(
    client,
    [topic],
    `listing offsets of topic ${topic}`,
    (cluster) => listOffsets(cluster, topic, 'end'),
    { readUncommitted: true },
  )
  let to: PartitionOffsets = new Map()
  const open = (): number | undefined =>
    [...written].find(([partition, end]) => (to.get(partition) ?? 0) < end)?.[0]
  const isSettled = async (): Promise<boolean> => {
    to = await endOffsets(client, topic)
    return open() === undefined
  }
  await waitUntil(isSettled, {
    timeoutMs: patienceMs,
    everyMs: 200,
    onTimeout: () =>
      new LabelstreamError(
        'BROKER_ERROR',
        `a transaction has been open in ${topic}/${String(open())} for ${patienceMs / 1000} s: what is behind it cannot be read`,
      ),
  })
  return { from: await beginningOffsets(client, topic), to }
}
