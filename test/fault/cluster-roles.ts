import type { Cluster } from 'kafkajs'
import { withCluster } from '../../src/kafka/cluster.ts'
import type { KafkaClient } from '../../src/kafka/connect.ts'
import {
  FlexibleReader,
  compactString,
  noTags,
  sendFlexible,
  varint,
} from '../../src/kafka/flexible-protocol.ts'
import { transactionalIdOf } from '../../src/kafka/lanes.ts'
import type { Job } from './job.ts'

/** What a broker can be to a job. */
export type Role = 'leader' | 'group coordinator' | 'transaction coordinator' | 'controller'

/** The index, among the nodes of the local cluster, of the broker that has this role now. */
export function nodeOf(role: Role, client: KafkaClient, job: Job): Promise<number> {
  return withCluster(client, [job.topics.input], `finding the ${role}`, async (cluster) => {
    return (await nodeIdOf(role, cluster, job)) - 1
  })
}

async function nodeIdOf(role: Role, cluster: Cluster, { group, topics, lanes }: Job): Promise<number> {
  switch (role) {
    case 'leader':
      return Number(Object.keys(cluster.findLeaderForPartitions(topics.input, [0]))[0])
    case 'group coordinator':
      return idOf(await cluster.findGroupCoordinator({ groupId: group }))
    case 'transaction coordinator': {
      const request = { groupId: transactionalIdOf(group, lanes, 0), coordinatorType: 1 }
      return idOf(await cluster.findGroupCoordinator(request))
    }
    case 'controller':
      return leaderOfQuorum(cluster)
  }
}

const idOf = (broker: unknown): number => Number((broker as { nodeId: number | string }).nodeId)

const metadataTopic = '__cluster_metadata'

/**
 * DescribeQuorum, version 0: clients are told any broker as the controller, so the leader of the metadata topic has
 * to be asked for.
 */
async function leaderOfQuorum(cluster: Cluster): Promise<number> {
  const [nodeId] = cluster.getNodeIds()
  const broker = await cluster.findBroker({ nodeId: String(nodeId) })
  return sendFlexible(broker, {
    apiKey: 55,
    apiVersion: 0,
    apiName: 'DescribeQuorum',
    body: Buffer.concat([
      noTags, // of the header
      varint(2), // one topic
      compactString(metadataTopic),
      varint(2), // one partition, number 0
      Buffer.alloc(4),
      noTags,
      noTags,
      noTags,
    ]),
    decode: leaderIn,
  })
}

/** Of the one partition that was asked for. */
function leaderIn(data: Buffer): number {
  const answer = new FlexibleReader(data)
  answer.skipTags()
  const errorCode = answer.int16()
  if (errorCode !== 0) throw new Error(`DescribeQuorum was answered with error code ${errorCode}`)
  answer.length() // topics
  answer.string()
  answer.length() // partitions
  answer.int32() // its number
  answer.int16() // its error code
  return answer.int32()
}
