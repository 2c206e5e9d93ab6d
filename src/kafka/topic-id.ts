import type { Cluster } from 'kafkajs'
import {
  type AnyRequestBroker,
  FlexibleReader,
  compactString,
  noTags,
  sendFlexible,
  varint,
} from './flexible-protocol.ts'

const metadata = 3
/** The first version in which a topic asked for by name has its id; brokers since 3.1. */
const version = 12

/**
 * Kafka's id of a topic in Kafka's own spelling (22 characters): a topic that is deleted and created anew has
 * another one (KIP-516). undefined from a broker that knows none.
 */
export async function topicIdOf(cluster: Cluster, topic: string): Promise<string | undefined> {
  const [nodeId] = cluster.getNodeIds()
  const broker = (await cluster.findBroker({ nodeId: String(nodeId) })) as unknown as AnyRequestBroker
  if ((broker.versions?.[metadata]?.maxVersion ?? 0) < version) return undefined
  return sendFlexible(broker, {
    apiKey: metadata,
    apiVersion: version,
    apiName: 'Metadata',
    body: encodeRequest(topic),
    decode: decodeAnswer,
  })
}

function encodeRequest(topic: string): Buffer {
  const oneTopic = [varint(2), Buffer.alloc(16), compactString(topic), noTags]
  const noAutoCreation = Buffer.of(0)
  const noAuthorizedOperations = Buffer.of(0)
  return Buffer.concat([noTags, ...oneTopic, noAutoCreation, noAuthorizedOperations, noTags])
}

function decodeAnswer(data: Buffer): string | undefined {
  const reader = new FlexibleReader(data)
  reader.skipTags()
  reader.int32() // throttle time
  reader.array(() => {
    reader.int32() // node
    reader.string() // host
    reader.int32() // port
    reader.string() // rack
    reader.skipTags()
  })
  reader.string() // cluster
  reader.int32() // controller
  // The topic stands first in its list; what follows is of no interest here.
  if (reader.length() === 0) return undefined
  reader.int16() // error code: kafkajs has asked about the topic before
  reader.string() // name
  const id = reader.bytes(16)
  return id.every((byte) => byte === 0) ? undefined : id.toString('base64url')
}
