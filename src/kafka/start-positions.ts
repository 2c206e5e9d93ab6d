import type { Cluster } from 'kafkajs'
import { fetchCommitted, listOffsets } from './admin.ts'
import { withCluster } from './cluster.ts'
import type { KafkaClient } from './connect.ts'
import type { TopicPartition } from './ownership.ts'

/** Where reading of a partition begins, and where the partition ends now. */
export interface StartPosition extends TopicPartition {
  readonly offset: number
  readonly endOffset: number
}

/**
 * For each partition the offset that the group committed, or where there is none the beginning or the end
 * of the log. Throws what `withCluster` throws.
 */
export function startPositions(
  client: KafkaClient,
  group: string,
  partitions: readonly TopicPartition[],
  fromBeginning: boolean,
): Promise<StartPosition[]> {
  return eachTopic(
    client,
    `finding where group ${group} stands`,
    partitions,
    async (cluster, topic, wanted) => {
      const committed = await fetchCommitted(cluster, group, topic, wanted)
      return placeInLog(cluster, topic, wanted, (partition) => committed.get(partition), fromBeginning)
    },
  )
}

/** Where to go on in one partition when the log may not hold `position` any more. */
export async function positionInLog(
  client: KafkaClient,
  partition: TopicPartition,
  position: number | undefined,
  fromBeginning: boolean,
): Promise<StartPosition | undefined> {
  const found = await eachTopic(client, 'finding a position again', [partition], (cluster, topic, wanted) =>
    placeInLog(cluster, topic, wanted, () => position, fromBeginning),
  )
  return found[0]
}

/** An offset past the end is of another log of that name: it counts as none. */
export function startOffset(
  known: number | undefined,
  beginning: number,
  end: number,
  fromBeginning: boolean,
): number {
  if (known === undefined || known > end) return fromBeginning ? beginning : end
  return Math.max(known, beginning)
}

async function placeInLog(
  cluster: Cluster,
  topic: string,
  wanted: readonly number[],
  known: (partition: number) => number | undefined,
  fromBeginning: boolean,
): Promise<StartPosition[]> {
  const beginning = await listOffsets(cluster, topic, 'beginning')
  const end = await listOffsets(cluster, topic, 'end')
  return wanted.map((partition) => {
    const first = beginning.get(partition) ?? 0
    const endOffset = end.get(partition) ?? first
    const offset = startOffset(known(partition), first, endOffset, fromBeginning)
    return { topic, partition, offset, endOffset }
  })
}

async function eachTopic(
  client: KafkaClient,
  doing: string,
  partitions: readonly TopicPartition[],
  place: (cluster: Cluster, topic: string, wanted: readonly number[]) => Promise<StartPosition[]>,
): Promise<StartPosition[]> {
  const topics = [...new Set(partitions.map(({ topic }) => topic))]
  return withCluster(client, topics, doing, async (cluster) => {
    const found: StartPosition[] = []
    for (const topic of topics) {
      const wanted = partitions.filter((one) => one.topic === topic).map(({ partition }) => partition)
      found.push(...(await place(cluster, topic, wanted)))
    }
    return found
  })
}
