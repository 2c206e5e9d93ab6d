import type { OutgoingMessage, SourceMessage } from '../formats/message.ts'
import { PartitionLedger } from './ledger.ts'
import { Sequencer, type OutcomeKind, type SendLimits } from './sequencer.ts'

/** What became of a message, ready to be published. */
export interface Outcome {
  readonly kind: OutcomeKind
  readonly sizeBytes: number
  readonly message: OutgoingMessage | undefined
  /** Of scores: name@version. */
  readonly model: string | undefined
  /** Of a dead letter: the error code. */
  readonly reason: string | undefined
}

/** A message with nothing to score. */
export const skipped: Outcome = {
  kind: 'skip',
  sizeBytes: 0,
  message: undefined,
  model: undefined,
  reason: undefined,
}

/** Held per message beside its own bytes: this object, its ledger entry, its windows. A generous guess. */
const overheadBytes = 512

/** One message from its fetch to the acknowledgement of its outcome. */
export class InFlightMessage {
  readonly source: SourceMessage
  readonly stream: PartitionStream
  readonly readMs: number
  readonly sizeBytes: number
  id = ''
  tokens = 0
  windows = 0
  windowsLeft = 0
  truncated = false
  /** Maximum over the windows scored so far. */
  logits: Float32Array | undefined
  outcome: Outcome | undefined

  constructor(source: SourceMessage, stream: PartitionStream, readMs: number) {
    this.source = source
    this.stream = stream
    this.readMs = readMs
    this.sizeBytes = overheadBytes + messageBytes(source)
  }

  get offset(): number {
    return this.source.offset
  }

  /** Whether its outcome is still wanted and not known. */
  get open(): boolean {
    return this.outcome === undefined && this.stream.live
  }
}

/** One partition in one epoch. */
export class PartitionStream {
  readonly epoch: number
  readonly topic: string
  readonly partition: number
  readonly ledger = new PartitionLedger()
  readonly sequencer: Sequencer<InFlightMessage>
  /** False once the epoch ended: nothing of it is published or committed any more. */
  live = true
  highWatermark = 0
  /** The offset committed last in this epoch. */
  committed = -1

  constructor(epoch: number, topic: string, partition: number, limits: SendLimits) {
    this.epoch = epoch
    this.topic = topic
    this.partition = partition
    this.sequencer = new Sequencer(limits)
  }

  /** Messages in the partition that were not fetched yet, as far as is known. */
  get unread(): number {
    const next = this.ledger.next
    return next === undefined ? 0 : Math.max(0, this.highWatermark - next)
  }
}

/** Key, value and headers in bytes. */
export function messageBytes(message: OutgoingMessage): number {
  let sizeBytes = (message.key?.length ?? 0) + (message.value?.length ?? 0)
  for (const name in message.headers) {
    const values = message.headers[name]
    sizeBytes += name.length
    if (Array.isArray(values)) for (const value of values) sizeBytes += value.length
    else sizeBytes += values?.length ?? 0
  }
  return sizeBytes
}

/** A partition's name in maps. */
export const partitionKey = (topic: string, partition: number): string => `${topic}/${partition}`
