import type { Cluster } from 'kafkajs'
import { LabelstreamError } from '../core/errors.ts'
import type { TopicPartition } from './ownership.ts'

/** What a group has committed for one partition. */
export interface CommittedOffset extends TopicPartition {
  /** undefined: nothing is committed. */
  readonly offset: number | undefined
  /** What was stored beside it; '' for nothing. */
  readonly metadata: string
}

/** kafkajs's broker with what it does not declare: any request that can be written goes through its connections. */
interface AnyRequestBroker {
  readonly connectionPool: {
    send<Decoded>(exchange: {
      readonly request: {
        readonly apiKey: number
        readonly apiVersion: number
        readonly apiName: string
        readonly encode: () => Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>
      }
      readonly response: {
        readonly decode: (data: Buffer) => Promise<Decoded>
        readonly parse: (decoded: Decoded) => Promise<Decoded>
      }
    }): Promise<Decoded>
  }
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
  const coordinator = (await cluster.findGroupCoordinator({ groupId: group })) as unknown as AnyRequestBroker
  const body = encodeRequest(group, partitions, options.stable)
  const answer = await coordinator.connectionPool.send({
    request: {
      apiKey: offsetFetch,
      apiVersion: version,
      apiName: 'OffsetFetch',
      // in the shape of kafkajs's own encoder
      encode: () => Promise.resolve({ buf: body, buffer: body }),
    },
    response: {
      decode: (data) => Promise.resolve(decodeAnswer(data)),
      parse: (decoded) => Promise.resolve(decoded),
    },
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

/** Kafka's "flexible" encoding: lengths are unsigned varints of length + 1, and each structure ends with its tags. */
export function encodeRequest(group: string, partitions: readonly TopicPartition[], stable: boolean): Buffer {
  const noTags = Buffer.of(0)
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

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest])
    bytes.push((rest & 0x7f) | 0x80)
  }
}

function compactString(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([varint(bytes.length + 1), bytes])
}

class FlexibleReader {
  readonly #data: Buffer
  #at = 0

  constructor(data: Buffer) {
    this.#data = data
  }

  int16(): number {
    return this.#data.readInt16BE(this.#move(2))
  }

  int32(): number {
    return this.#data.readInt32BE(this.#move(4))
  }

  int64(): bigint {
    return this.#data.readBigInt64BE(this.#move(8))
  }

  /** null is read as ''. */
  string(): string {
    const length = Math.max(0, this.#varint() - 1)
    const start = this.#move(length)
    return this.#data.toString('utf8', start, start + length)
  }

  array<Item>(read: () => Item): Item[] {
    const count = Math.max(0, this.#varint() - 1)
    return Array.from({ length: count }, read)
  }

  skipTags(): void {
    for (let left = this.#varint(); left > 0; left--) {
      this.#varint()
      this.#move(this.#varint())
    }
  }

  #varint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#data.readUInt8(this.#move(1))
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    return value >>> 0
  }

  #move(length: number): number {
    const before = this.#at
    this.#at += length
    return before
  }
}
