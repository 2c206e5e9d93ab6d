/** Header values as they are on the wire; Kafka allows several values under one name. */
export type MessageHeaders = Readonly<Record<string, Buffer | string | (Buffer | string)[] | undefined>>

/** Where a message stands in Kafka. Offsets are exact as numbers up to 2^53. */
export interface Position {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** One message as it was read. A null value is a tombstone. */
export interface SourceMessage extends Position {
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: MessageHeaders
}

/** One message to be written. */
export interface OutgoingMessage {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: MessageHeaders
}
