import type { Cluster } from 'kafkajs'
import { withCluster } from '../../src/kafka/cluster.ts'
import type { KafkaClient } from '../../src/kafka/connect.ts'
import { transactionalIdOf } from '../../src/kafka/lanes.ts'
import type { Job } from './job.ts'

/** What a broker can be to a job. */
export type Role = 'leader' | 'group coordinator' | 'transaction coordinator' | 'controller'

/** kafkajs's broker with what it does not declare. */
interface AnyBroker {
  readonly nodeId: number | string
  readonly connectionPool: {
    send(exchange: {
      readonly request: {
        readonly apiKey: number
        readonly apiVersion: number
        readonly apiName: string
        readonly encode: () => Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>
      }
      readonly response: {
        readonly decode: (data: Buffer) => Promise<Buffer>
        readonly parse: (data: Buffer) => Promise<Buffer>
      }
    }): Promise<Buffer>
  }
}

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

const idOf = (broker: unknown): number => Number((broker as AnyBroker).nodeId)

const metadataTopic = '__cluster_metadata'

/**
 * DescribeQuorum, version 0: clients are told any broker as the controller, so the leader of the metadata topic has
 * to be asked for.
 */
async function leaderOfQuorum(cluster: Cluster): Promise<number> {
  const [nodeId] = cluster.getNodeIds()
  const broker = (await cluster.findBroker({ nodeId: String(nodeId) })) as unknown as AnyBroker
  const name = Buffer.from(metadataTopic)
  const noTags = Buffer.of(0)
  const body = Buffer.concat([
    noTags, // of the header
    Buffer.of(2, name.length + 1),
    name,
    Buffer.of(2, 0, 0, 0, 0), // one partition, number 0
    noTags,
    noTags,
    noTags,
  ])
  const answer = await broker.connectionPool.send({
    request: {
      apiKey: 55,
      apiVersion: 0,
      apiName: 'DescribeQuorum',
      encode: () => Promise.resolve({ buf: body, buffer: body }),
    },
    response: { decode: (data) => Promise.resolve(data), parse: (data) => Promise.resolve(data) },
  })
  // header tags, error code, one topic and its name, one partition, its index and its error code
  const errorCode = answer.readInt16BE(1)
  if (errorCode !== 0) throw new Error(`DescribeQuorum was answered with error code ${errorCode}`)
  return answer.readInt32BE(1 + 2 + 1 + 1 + name.length + 1 + 4 + 2)
}
