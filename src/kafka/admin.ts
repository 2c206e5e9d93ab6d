import type { Admin, Cluster } from 'kafkajs'
import { type KafkaClient, quietly } from './connect.ts'
import { askForGroup, openCluster, partitionsOf, withCluster } from './cluster.ts'
import { repeatWhile } from '../core/backoff.ts'
import { waitUntil } from '../core/clock.ts'
import { asLabelstreamError, LabelstreamError } from '../core/errors.ts'
import { coordinatorIsMoving, leaderIsMoving, protocolErrorType } from './errors.ts'
import { topicIdOf } from './topic-id.ts'

export interface NewTopic {
  readonly topic: string
  readonly partitions: number
  /** Default: the broker's. */
  readonly replicationFactor?: number | undefined
  /** Kafka's topic settings, such as { 'cleanup.policy': 'compact' }. */
  readonly config?: Readonly<Record<string, string>> | undefined
}

/** Partition to offset. */
export type PartitionOffsets = ReadonlyMap<number, number>

/** What is true of a topic for the connected user; undefined where it cannot be found out. */
export interface TopicCheck {
  readonly topic: string
  readonly exists: boolean
  readonly partitions: number
  readonly canRead: boolean | undefined
  readonly canWrite: boolean | undefined
}

/**
 * Creates the topics that are not there yet and waits until they have leaders.
 * Resolves to the names that were created; a topic that exists is left as it is.
 * Throws ACCESS_DENIED, BROKER_ERROR (for instance a replication factor that the cluster cannot give).
 */
export async function createTopics(client: KafkaClient, topics: readonly NewTopic[]): Promise<string[]> {
  return withAdmin(client, async (admin) => {
    const created: string[] = []
    for (const topic of topics) {
      // one by one: kafkajs answers false for all when one of them exists
      if (await createTopic(client, admin, topic)) created.push(topic.topic)
    }
    return created
  })
}

async function createTopic(client: KafkaClient, admin: Admin, topic: NewTopic): Promise<boolean> {
  const configEntries = Object.entries(topic.config ?? {}).map(([name, value]) => ({ name, value }))
  try {
    return await admin.createTopics({
      waitForLeaders: true,
      timeout: 15_000,
      topics: [
        {
          topic: topic.topic,
          numPartitions: topic.partitions,
          replicationFactor: topic.replicationFactor ?? -1,
          configEntries,
        },
      ],
    })
  } catch (thrown) {
    const error = client.error(thrown, { doing: `creating topic ${topic.topic}`, topic: topic.topic })
    if (error.code !== 'TOPIC_MISSING') throw error
    // it is created, but a busy cluster has not told its brokers yet, and kafkajs asks only a few times
    await waitUntil(async () => (await checkTopic(client, topic.topic)).exists, {
      timeoutMs: 15_000,
      everyMs: 200,
      onTimeout: () => error,
    })
    return true
  }
}

/** One row a topic, in the order asked. Reads and writes nothing. Throws only when no broker can be asked. */
export async function checkTopics(client: KafkaClient, topics: readonly string[]): Promise<TopicCheck[]> {
  const checks: TopicCheck[] = []
  for (const topic of topics) checks.push(await checkTopic(client, topic))
  return checks
}

async function checkTopic(client: KafkaClient, topic: string): Promise<TopicCheck> {
  try {
    return await withCluster(client, [topic], `checking topic ${topic}`, async (cluster) => ({
      topic,
      exists: true,
      partitions: partitionsOf(cluster, topic).length,
      canRead: await isAllowed(() => tryFetch(cluster, topic)),
      canWrite: await isAllowed(() => tryProduce(cluster, topic)),
    }))
  } catch (error) {
    const { code } = asLabelstreamError(error)
    if (code === 'TOPIC_MISSING') {
      return { topic, exists: false, partitions: 0, canRead: undefined, canWrite: undefined }
    }
    // a broker tells nobody whether a topic exists who may not describe it
    if (code === 'ACCESS_DENIED')
      return { topic, exists: false, partitions: 0, canRead: false, canWrite: false }
    throw error
  }
}

async function isAllowed(attempt: () => Promise<'allowed' | 'unknown'>): Promise<boolean | undefined> {
  try {
    return (await attempt()) === 'allowed' ? true : undefined
  } catch (error) {
    return protocolErrorType(error) === 'TOPIC_AUTHORIZATION_FAILED' ? false : undefined
  }
}

async function leaderOf(cluster: Cluster, topic: string, partition: number) {
  const leaders = Object.keys(cluster.findLeaderForPartitions(topic, [partition]))
  return cluster.findBroker({ nodeId: leaders[0] ?? '' })
}

async function tryFetch(cluster: Cluster, topic: string): Promise<'allowed'> {
  const broker = await leaderOf(cluster, topic, 0)
  const offsets = await listOffsets(cluster, topic, 'end')
  await broker.fetch({
    maxWaitTime: 0,
    minBytes: 0,
    maxBytes: 1,
    topics: [
      { topic, partitions: [{ partition: 0, fetchOffset: String(offsets.get(0) ?? 0), maxBytes: 1 }] },
    ],
  })
  return 'allowed'
}

/** A batch without records is refused as invalid, but only after the broker has looked at the permission. */
async function tryProduce(cluster: Cluster, topic: string): Promise<'allowed' | 'unknown'> {
  const broker = await leaderOf(cluster, topic, 0)
  try {
    await broker.produce({
      acks: -1,
      timeout: 5_000,
      topicData: [{ topic, partitions: [{ partition: 0, messages: [] }] }],
    })
    return 'unknown'
  } catch (error) {
    if (protocolErrorType(error) === 'INVALID_RECORD') return 'allowed'
    throw error
  }
}

/** The first offset that is still there, per partition. Throws TOPIC_MISSING and what `withCluster` throws. */
export function beginningOffsets(client: KafkaClient, topic: string): Promise<PartitionOffsets> {
  return withCluster(client, [topic], `listing offsets of topic ${topic}`, (cluster) =>
    listOffsets(cluster, topic, 'beginning'),
  )
}

/**
 * The offset after the last record that a read_committed reader can see now, per partition (Kafka's last
 * stable offset: records of a transaction that is still open lie behind it).
 */
export function endOffsets(client: KafkaClient, topic: string): Promise<PartitionOffsets> {
  return withCluster(client, [topic], `listing offsets of topic ${topic}`, (cluster) =>
    listOffsets(cluster, topic, 'end'),
  )
}

/**
 * By partition the first offset whose record's timestamp is that time or later; one past the last where there is none.
 * Throws TOPIC_MISSING and what `withCluster` throws.
 */
export function offsetsSince(
  client: KafkaClient,
  topic: string,
  timestampMs: number,
): Promise<PartitionOffsets> {
  return withCluster(client, [topic], `listing offsets of topic ${topic}`, async (cluster) => {
    const end = await listOffsets(cluster, topic, 'end')
    const found = await listOffsets(cluster, topic, timestampMs)
    return new Map(
      [...end].map(([partition, last]) => [partition, foundOrNone(found.get(partition)) ?? last]),
    )
  })
}

/** Kafka says -1 where no record is as late. */
const foundOrNone = (offset: number | undefined): number | undefined =>
  offset === undefined || offset < 0 ? undefined : offset

/** What there is of a topic now. */
export interface TopicExtent {
  /** undefined where the broker knows no ids. */
  readonly topicId: string | undefined
  /** By partition number: the first offset that is still there, and the end as in `endOffsets`. */
  readonly partitions: readonly { readonly partition: number; readonly from: number; readonly to: number }[]
}

/** Throws TOPIC_MISSING and what `withCluster` throws. */
export function topicExtent(client: KafkaClient, topic: string): Promise<TopicExtent> {
  return withCluster(client, [topic], `listing offsets of topic ${topic}`, async (cluster) => {
    const beginning = await listOffsets(cluster, topic, 'beginning')
    const end = await listOffsets(cluster, topic, 'end')
    const partitions = partitionsOf(cluster, topic).map((partition) => ({
      partition,
      from: beginning.get(partition) ?? 0,
      to: end.get(partition) ?? 0,
    }))
    return { topicId: await topicIdOf(cluster, topic), partitions }
  })
}

const leaderPatienceMs = 15_000

/**
 * As `beginningOffsets` and `endOffsets`, on an open cluster, or by time in milliseconds: -1 where nothing is as late.
 * A leader that is being chosen is waited for.
 */
export async function listOffsets(
  cluster: Cluster,
  topic: string,
  which: 'beginning' | 'end' | number,
): Promise<PartitionOffsets> {
  const partitions = partitionsOf(cluster, topic).map((partition) => ({ partition }))
  const wanted =
    typeof which === 'number' ? { fromTimestamp: which } : { fromBeginning: which === 'beginning' }
  const ask = async () => {
    try {
      return await cluster.fetchTopicsOffset([{ topic, partitions, ...wanted }])
    } catch (error) {
      // the repetition is to ask the next leader
      if (leaderIsMoving(error)) await cluster.refreshMetadata()
      throw error
    }
  }
  const answer = await repeatWhile(ask, leaderIsMoving, leaderPatienceMs)
  return new Map(
    answer.flatMap((row) =>
      row.partitions.map(({ partition, offset }) => [partition, Number(offset)] as const),
    ),
  )
}

/** What the group has committed; a partition without a commit is not in the map. */
export async function committedOffsets(
  client: KafkaClient,
  group: string,
  topic: string,
): Promise<PartitionOffsets> {
  const doing = `reading the committed offsets of group ${group}`
  const opened = await openCluster(client, [topic], doing)
  try {
    return await fetchCommitted(opened.cluster, group, topic, partitionsOf(opened.cluster, topic))
  } catch (error) {
    throw client.error(error, { doing, topic, group })
  } finally {
    await opened.close()
  }
}

/** As `committedOffsets`, on an open cluster and for some partitions. */
export async function fetchCommitted(
  cluster: Cluster,
  group: string,
  topic: string,
  partitions: readonly number[],
): Promise<PartitionOffsets> {
  const fetch = async () => {
    await askForGroup(cluster, group)
    const coordinator = await cluster.findGroupCoordinator({ groupId: group })
    return coordinator.offsetFetch({
      groupId: group,
      // kafkajs's type wants an offset that the request does not have
      topics: [{ topic, partitions: partitions.map((partition) => ({ partition, offset: '' })) }],
    })
  }
  const { responses } = await repeatWhile(fetch, coordinatorIsMoving, 15_000)
  return new Map(
    responses.flatMap((row) =>
      row.partitions
        .filter(({ offset }) => Number(offset) >= 0)
        .map(({ partition, offset }) => [partition, Number(offset)] as const),
    ),
  )
}

/** Deletes a consumer group and its offsets; nothing happens when there is none. */
export async function deleteGroup(client: KafkaClient, group: string): Promise<void> {
  await withAdmin(client, async (admin) => {
    try {
      await repeatWhile(() => admin.deleteGroups([group]), coordinatorIsMoving, 15_000)
    } catch (error) {
      if (protocolErrorType(error) === 'GROUP_ID_NOT_FOUND') return
      throw client.error(error, { doing: `deleting group ${group}`, group })
    }
  })
}

/** Opens an admin connection, works with it and closes it. */
export async function withAdmin<T>(client: KafkaClient, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = client.open().admin()
  await client.connect(admin, 'asking the brokers')
  try {
    return await work(admin)
  } catch (error) {
    if (error instanceof LabelstreamError) throw error
    throw client.error(error, { doing: 'asking the brokers' })
  } finally {
    await quietly(admin.disconnect())
  }
}
