import type { Cluster } from 'kafkajs'
import { LabelstreamError } from '../core/errors.ts'
import { FlexibleReader, compactString, noTags, sendFlexible, varint } from './flexible-protocol.ts'
import type { TopicPartition } from './ownership.ts'

/** What a group has committed for one partition. */
export interface CommittedOffset extends TopicPartition {
  /** undefined: nothing is committed. */
  readonly offset: number | undefined
  /** What was stored beside it; '' for nothing. */
  readonly metadata: string
}

const offsetFetch = 9
/** The first version that can be asked for decided offsets only (KIP-447; brokers since 2.5). */
const version = 7
const unstableOffsetCommit = 88
/** COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR */
const coordinatorMoves = new Set([14, 15, 16])
const groupAuthorizationFailed = 30

/**
 * What the group has committed for these partitions. `stable`: with no transaction under way that could still
 * change it, and 'undecided' while there is one; kafkajs's own request (version 4) shows the offsets from before
 * it. 'undecided', too, while the group's coordinator is moving.
 * Throws ACCESS_DENIED, BROKER_ERROR and what kafkajs throws.
 */
export async function offsetsOf(
  cluster: Cluster,
  group: string,
  partitions: readonly TopicPartition[],
  options: { readonly stable: boolean },
): Promise<readonly CommittedOffset[] | 'undecided'> {
  const answer = await sendFlexible(await cluster.findGroupCoordinator({ groupId: group }), {
    apiKey: offsetFetch,
    apiVersion: version,
    apiName: 'OffsetFetch',
    body: encodeRequest(group, partitions, options.stable),
    decode: decodeAnswer,
  })
  if (answer.rows.some(({ errorCode }) => errorCode === unstableOffsetCommit)) return 'undecided'
  const errorCode = answer.errorCode || answer.rows.find((row) => row.errorCode !== 0)?.errorCode
  if (coordinatorMoves.has(errorCode ?? 0)) return 'undecided'
  if (errorCode !== undefined && errorCode !== 0) {
    throw new LabelstreamError(
      errorCode === groupAuthorizationFailed ? 'ACCESS_DENIED' : 'BROKER_ERROR',
      `reading the committed offsets of group ${group}: error code ${errorCode}`,
    )
  }
  return answer.rows.map(({ topic, partition, offset, metadata }) => ({
    topic,
    partition,
    offset: offset < 0 ? undefined : offset,
    metadata,
  }))
}

interface Answer {
  readonly errorCode: number
  readonly rows: readonly {
    readonly topic: string
    readonly partition: number
    readonly offset: number
    readonly metadata: string
    readonly errorCode: number
  }[]
}

export function encodeRequest(group: string, partitions: readonly TopicPartition[], stable: boolean): Buffer {
  const topics = [...new Set(partitions.map(({ topic }) => topic))]
  const parts: Buffer[] = [noTags, compactString(group), varint(topics.length + 1)]
  for (const topic of topics) {
    const numbers = partitions.filter((one) => one.topic === topic).map(({ partition }) => partition)
    const indexes = Buffer.alloc(numbers.length * 4)
    for (const [index, partition] of numbers.entries()) indexes.writeInt32BE(partition, index * 4)
    parts.push(compactString(topic), varint(numbers.length + 1), indexes, noTags)
  }
  return Buffer.concat([...parts, Buffer.of(stable ? 1 : 0), noTags])
}

/** The body behind the correlation id, beginning with the header's tags. */
export function decodeAnswer(data: Buffer): Answer {
  const reader = new FlexibleReader(data)
  reader.skipTags()
  reader.int32() // throttle time
  const rows = reader.array(() => {
    const topic = reader.string()
    const found = reader.array(() => {
      const partition = reader.int32()
      const offset = Number(reader.int64())
      reader.int32() // leader epoch
      const metadata = reader.string()
      const errorCode = reader.int16()
      reader.skipTags()
      return { topic, partition, offset, metadata, errorCode }
    })
    reader.skipTags()
    return found
  })
  return { rows: rows.flat(), errorCode: reader.int16() }
}
