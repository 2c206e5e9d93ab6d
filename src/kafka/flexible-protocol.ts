/** kafkajs's broker with what it does not declare: any request that can be written goes through its connections. */
export interface AnyRequestBroker {
  /** The versions of each request, by its key, that the broker answers. */
  readonly versions: Readonly<Record<number, { readonly maxVersion: number } | undefined>> | null
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

/** A request that kafkajs does not have, in Kafka's "flexible" encoding, and how its answer is read. */
export interface FlexibleRequest<Answer> {
  readonly apiKey: number
  readonly apiVersion: number
  readonly apiName: string
  /** Behind kafkajs's header, which has no tags: it begins with them. */
  readonly body: Buffer
  /** Gets what is behind the correlation id, beginning with the header's tags. */
  readonly decode: (data: Buffer) => Answer
}

/** Sends it to one of kafkajs's brokers. Throws what kafkajs throws. */
export function sendFlexible<Answer>(
  broker: unknown,
  { apiKey, apiVersion, apiName, body, decode }: FlexibleRequest<Answer>,
): Promise<Answer> {
  return (broker as AnyRequestBroker).connectionPool.send({
    request: {
      apiKey,
      apiVersion,
      apiName,
      // in the shape of kafkajs's own encoder
      encode: () => Promise.resolve({ buf: body, buffer: body }),
    },
    response: {
      decode: (data) => Promise.resolve(decode(data)),
      parse: (decoded) => Promise.resolve(decoded),
    },
  })
}

/** Each structure ends with its tags; we send none. */
export const noTags = Buffer.of(0)

/** Lengths are unsigned varints of length + 1. */
export function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest])
    bytes.push((rest & 0x7f) | 0x80)
  }
}

export function compactString(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([varint(bytes.length + 1), bytes])
}

export class FlexibleReader {
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

  bytes(length: number): Buffer {
    const start = this.#move(length)
    return this.#data.subarray(start, start + length)
  }

  /** Of the string or array that follows; 0 for null. */
  length(): number {
    return Math.max(0, this.#varint() - 1)
  }

  /** null is read as ''. */
  string(): string {
    return this.bytes(this.length()).toString('utf8')
  }

  array<Item>(read: () => Item): Item[] {
    return Array.from({ length: this.length() }, read)
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
