import kafkajs, { type Cluster } from 'kafkajs'
import { LabelstreamError } from '../core/errors.ts'
import { type KafkaClient, quietly } from './connect.ts'
import { topicMissing } from './errors.ts'

export interface ClusterOptions {
  /** Offsets up to the high watermark: records of open transactions count. */
  readonly readUncommitted?: boolean
}

/**
 * Opens kafkajs's cluster object, which can fetch and list offsets without joining a group, and closes it
 * after `work`. kafkajs hands it only to partition assigners, so a consumer is made for the sake of its
 * assigner; its group id is never sent. Offsets it lists are those a read_committed consumer sees, unless told otherwise.
 * Throws as KafkaClient.connect does, TOPIC_MISSING, ACCESS_DENIED, BROKER_ERROR.
 */
export async function withCluster<T>(
  client: KafkaClient,
  topics: readonly string[],
  doing: string,
  work: (cluster: Cluster) => Promise<T>,
  options: ClusterOptions = {},
): Promise<T> {
  const opened = await openCluster(client, topics, doing, options)
  try {
    return await client.answered(work(opened.cluster), doing)
  } catch (error) {
    throw client.error(error, { doing, topic: topics.length === 1 ? topics[0] : undefined })
  } finally {
    await opened.close()
  }
}

/** As `withCluster`, for those who close it later. */
export async function openCluster(
  client: KafkaClient,
  topics: readonly string[],
  doing: string,
  { readUncommitted = false }: ClusterOptions = {},
): Promise<{ readonly cluster: Cluster; close(): Promise<void> }> {
  let captured: Cluster | undefined
  const consumer = client.open().consumer({
    groupId: 'labelstream-no-group',
    allowAutoTopicCreation: false,
    readUncommitted,
    partitionAssigners: [
      (config) => {
        captured = config.cluster
        return kafkajs.PartitionAssigners.roundRobin(config)
      },
    ],
  })
  const cluster = captured
  if (cluster === undefined)
    throw new LabelstreamError('INTERNAL', 'kafkajs did not call the partition assigner')
  const close = (): Promise<void> => quietly(consumer.disconnect())
  await client.connect(consumer, doing)
  try {
    // one by one, so that an error belongs to one topic
    for (const topic of topics) await client.answered(addTopic(client, cluster, topic, doing), doing)
    return { cluster, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** kafkajs's broker, with a request that it does not declare. */
interface GroupBroker {
  findGroupCoordinator(request: { groupId: string; coordinatorType: number }): Promise<unknown>
}

/**
 * Throws kafkajs's error when the group's coordinator cannot be had; kafkajs's own search tries every broker
 * and forgets what each of them said, also that the group is forbidden to us.
 */
export async function askForGroup(cluster: Cluster, group: string): Promise<void> {
  const [nodeId] = cluster.getNodeIds()
  const broker = (await cluster.findBroker({ nodeId: String(nodeId) })) as unknown as GroupBroker
  await broker.findGroupCoordinator({ groupId: group, coordinatorType: 0 })
}

/** The topic's partition numbers, ascending. */
export function partitionsOf(cluster: Cluster, topic: string): number[] {
  return cluster
    .findTopicPartitionMetadata(topic)
    .map(({ partitionId }) => partitionId)
    .sort((a, b) => a - b)
}

async function addTopic(client: KafkaClient, cluster: Cluster, topic: string, doing: string): Promise<void> {
  try {
    await cluster.addTargetTopic(topic)
  } catch (error) {
    throw client.error(error, { doing, topic })
  }
  if (partitionsOf(cluster, topic).length === 0) {
    throw new LabelstreamError('TOPIC_MISSING', topicMissing(topic, client.options.brokers.join(', ')))
  }
}
