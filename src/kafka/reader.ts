import { backoffMs } from '../core/backoff.ts'
import { sleep } from '../core/clock.ts'
import { asLabelstreamError, LabelstreamError } from '../core/errors.ts'
import type { Position } from '../formats/message.ts'
import { askForGroup, withCluster } from './cluster.ts'
import type { KafkaClient } from './connect.ts'
import { coordinatorIsMoving, protocolErrorType } from './errors.ts'
import type { RecordBatch } from './fetched-batch.ts'
import { GroupMember, type MemberHandlers } from './group-member.ts'
import { Ownership, type TopicPartition } from './ownership.ts'
import type { ReaderHandlers, ReaderOptions } from './reader-contract.ts'
import { positionInLog, type StartPosition, startPositions } from './start-positions.ts'

/** Topics vanish from the metadata of a restarting cluster for a moment; after so many times they are missing. */
const missingTopicPatience = 10

const staleCommitTypes = new Set([
  'REBALANCE_IN_PROGRESS',
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
  'FENCED_INSTANCE_ID',
])

/**
 * Reads topics as a member of a consumer group, read_committed, and commits only what it is told to.
 *
 * What kafkajs leaves open is closed here: every ownership has an epoch, and late batches, late commits and
 * late positions of an older one have no effect; positions are looked up and sought explicitly, and each
 * batch must begin where the last one ended; a crash of its consumer makes a new one, for ever, unless
 * trying again cannot help.
 */
export class Reader {
  readonly #client: KafkaClient
  readonly #options: ReaderOptions
  readonly #handlers: ReaderHandlers
  readonly #closing = new AbortController()
  #member: GroupMember | undefined
  #ownership: Ownership | undefined
  #lastEpoch = 0
  #paused = false
  #missingTopics = 0
  #failed = false
  #supervision: Promise<void> | undefined

  private constructor(client: KafkaClient, options: ReaderOptions, handlers: ReaderHandlers) {
    this.#client = client
    this.#options = options
    this.#handlers = handlers
  }

  /**
   * Checks that the topics and the group can be seen; joins nothing yet.
   * Throws BROKER_UNREACHABLE, AUTHENTICATION_FAILED, TLS_FAILED, TOPIC_MISSING, ACCESS_DENIED.
   */
  static async create(
    client: KafkaClient,
    options: ReaderOptions,
    handlers: ReaderHandlers,
  ): Promise<Reader> {
    const { group, topics } = options
    await withCluster(client, topics, 'connecting to read', async (cluster) => {
      try {
        await askForGroup(cluster, group)
      } catch (error) {
        if (!coordinatorIsMoving(error)) throw client.error(error, { doing: 'connecting to read', group })
      }
    })
    return new Reader(client, options, handlers)
  }

  /** Joins the group and begins to read. Whatever happens from now on is told to the handlers. */
  start(): void {
    this.#supervision ??= this.#supervise()
  }

  /** Stops fetching; heartbeats go on. What a broker has answered already still arrives. */
  pause(): void {
    this.#paused = true
    this.#member?.pause()
  }

  resume(): void {
    this.#paused = false
    if (this.#ownership?.started === true) this.#member?.resume()
  }

  /**
   * Commits offsets (each the next one to read) if the epoch still owns their partitions.
   * 'stale': it does not, and nothing that could disturb the new owner was written. Repeated with back-off
   * while the epoch lasts; throws ACCESS_DENIED and whatever else repeating cannot help.
   */
  async commit(epoch: number, offsets: readonly Position[]): Promise<'committed' | 'stale'> {
    for (let attempt = 1; ; attempt++) {
      // kafkajs replaces its generation a few microtasks before it tells of the join: not in between
      if (this.#ownership?.state !== 'revoking') await new Promise(setImmediate)
      const member = this.#member
      const ownership = this.#ownership
      if (member === undefined || ownership?.epoch !== epoch || ownership.state === 'over') return 'stale'
      if (!offsets.every((offset) => ownership.owns(offset))) return 'stale'
      if (offsets.length === 0) return 'committed'
      try {
        return await this.#client.answered(member.commit(offsets), 'committing offsets', (fault) => {
          member.giveUp(fault)
        })
      } catch (error) {
        if (staleCommitTypes.has(protocolErrorType(error) ?? '')) return 'stale'
        const fault = this.#client.error(error, {
          doing: `committing offsets of group ${this.#options.group}`,
          topic: this.#options.topics.join(', '),
          group: this.#options.group,
        })
        if (fault.disposition !== 'retry') throw fault
        this.#options.onRetry?.(fault.code, fault.message)
        await sleep(backoffMs(attempt), this.#closing.signal)
      }
    }
  }

  /** Ends the epoch and joins the group anew: what the epoch believed about its partitions is not true any more. */
  rejoin(epoch: number): void {
    if (this.#ownership?.epoch !== epoch || this.#ownership.state !== 'open') return
    this.#endOwnership()
    this.#member?.giveUp(
      new LabelstreamError('BROKER_ERROR', `epoch ${epoch} has lost its partitions to another member`),
    )
  }

  /** Leaves the group and disconnects within a few seconds. Commit before; no handler is called any more. */
  async close(): Promise<void> {
    if (this.#ownership !== undefined) this.#ownership.state = 'over'
    this.#closing.abort()
    await this.#member?.close()
    await this.#supervision
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted
  }

  async #supervise(): Promise<void> {
    let attempt = 1
    while (!this.#closed && !this.#failed) {
      const epochBefore = this.#lastEpoch
      const fault = await this.#memberLife()
      if (this.#closed || this.#failed) return
      this.#endOwnership()
      if (!this.#mayPass(fault)) {
        this.#fail(fault)
        return
      }
      attempt = this.#lastEpoch > epochBefore ? 1 : attempt + 1
      this.#client.log('warn', `reading stopped and starts again: ${fault.message}`, { code: fault.code })
      this.#options.onRetry?.(fault.code, fault.message)
      await sleep(backoffMs(attempt), this.#closing.signal)
    }
  }

  /** One kafkajs consumer from its connection to its end; resolves to what ended it. */
  async #memberLife(): Promise<LabelstreamError> {
    const member: GroupMember = new GroupMember(
      this.#client,
      this.#options,
      this.#memberHandlers(() => member),
    )
    this.#member = member
    try {
      return await member.run()
    } finally {
      await member.close()
      if (this.#member === member) this.#member = undefined
    }
  }

  /** Whether trying again can help. Records that arrive show that the topics are there. */
  #mayPass(fault: LabelstreamError): boolean {
    if (fault.code !== 'TOPIC_MISSING') return fault.disposition === 'retry'
    this.#missingTopics += 1
    return this.#missingTopics < missingTopicPatience
  }

  #memberHandlers(member: () => GroupMember | undefined): MemberHandlers {
    return {
      joined: (partitions) => {
        const current = this.#current(member())
        if (current !== undefined) this.#begin(current, partitions)
      },
      rebalancing: () => {
        if (this.#current(member()) !== undefined) this.#endOwnership()
      },
      batch: (batch) => {
        const current = this.#current(member())
        return current !== undefined && this.#take(current, batch)
      },
      emptyBatch: (batch) => {
        const current = this.#current(member())
        if (current !== undefined) this.#takeEmpty(current, batch)
      },
    }
  }

  /** The member if it is the one that counts: a former one can still have something to say. */
  #current(member: GroupMember | undefined): GroupMember | undefined {
    return member === this.#member && !this.#closed ? member : undefined
  }

  #begin(member: GroupMember, partitions: readonly TopicPartition[]): void {
    // kafkajs does not say that the group had forgotten it: its generation is the next one already, and a commit of the
    // former owner would count in it
    this.#endOwnership({ over: true })
    this.#lastEpoch += 1
    const ownership = new Ownership(this.#lastEpoch, partitions)
    this.#ownership = ownership
    // nothing is fetched until it is known from where
    member.pause()
    this.#tell(() => {
      this.#handlers.assigned(ownership.epoch, partitions)
    })
    void this.#findStarts(member, ownership)
  }

  /** Looks up where each partition starts, as often as it takes, tells it and lets the fetching begin. */
  async #findStarts(member: GroupMember, ownership: Ownership): Promise<void> {
    const { group, fromBeginning = true, beforeStart } = this.#options
    const { epoch, partitions } = ownership
    if (partitions.length === 0) return
    await this.#untilDone(ownership, `finding where group ${group} stands`, async () => {
      await beforeStart?.(epoch, partitions)
      const starts = await startPositions(this.#client, group, partitions, fromBeginning)
      if (ownership.state !== 'open') return
      for (const start of starts) this.#startAt(member, ownership, start)
      if (!this.#paused) member.resume()
    })
  }

  #startAt(member: GroupMember, ownership: Ownership, start: StartPosition): void {
    const { topic, partition, offset, endOffset } = start
    ownership.startAt(start, offset)
    member.seek(start)
    this.#tell(() => {
      const batch = { topic, partition, messages: [], nextOffset: offset, highWatermark: endOffset }
      this.#handlers.records(ownership.epoch, batch)
    })
  }

  /** Hands a batch out; false leaves it to be fetched again. */
  #take(member: GroupMember, batch: RecordBatch & { readonly fetchedOffset: number }): boolean {
    const ownership = this.#ownership
    if (ownership === undefined) return false
    const position = ownership.position(batch)
    const verdict = ownership.take(batch)
    if (verdict === 'misplaced') void this.#findAgain(member, ownership, batch, position)
    if (verdict !== 'taken') return false
    this.#missingTopics = 0
    this.#tell(() => {
      this.#handlers.records(ownership.epoch, batch)
    })
    return true
  }

  #takeEmpty(member: GroupMember, batch: Parameters<MemberHandlers['emptyBatch']>[0]): void {
    const ownership = this.#ownership
    if (ownership === undefined) return
    const { topic, partition, highWatermark } = batch
    const position = ownership.position(batch)
    const verdict = ownership.takeEmpty(batch)
    if (verdict === 'doubtful' && position !== undefined) member.seek({ topic, partition, offset: position })
    if (verdict !== 'taken') return
    this.#tell(() => {
      const nextOffset = batch.lastOffset + 1
      this.#handlers.records(ownership.epoch, { topic, partition, messages: [], nextOffset, highWatermark })
    })
  }

  /**
   * A batch does not begin at our position: it is the late answer of another broker, or kafkajs went to
   * another offset because the log does not hold ours any more.
   */
  async #findAgain(
    member: GroupMember,
    ownership: Ownership,
    { topic, partition, fetchedOffset }: TopicPartition & { readonly fetchedOffset: number },
    position: number | undefined,
  ): Promise<void> {
    ownership.lose({ topic, partition })
    this.#client.log('warn', 'a fetch did not begin where the last one ended', {
      topic,
      partition,
      position,
      fetchedOffset,
    })
    await this.#untilDone(ownership, `finding the position in ${topic}/${partition} again`, async () => {
      const { fromBeginning = true } = this.#options
      const found = await positionInLog(this.#client, { topic, partition }, position, fromBeginning)
      if (ownership.state === 'open' && found !== undefined) this.#startAt(member, ownership, found)
    })
  }

  /** Repeats `work` with back-off until it succeeds, the ownership ends or it cannot succeed. */
  async #untilDone(ownership: Ownership, doing: string, work: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ownership.state === 'open'; attempt++) {
      try {
        await work()
        return
      } catch (error) {
        if (ownership.state !== 'open') return
        const fault = this.#client.error(error, { doing, group: this.#options.group })
        if (!this.#mayPass(fault)) {
          this.#fail(fault)
          return
        }
        this.#options.onRetry?.(fault.code, fault.message)
        await sleep(backoffMs(attempt), this.#closing.signal)
      }
    }
  }

  #endOwnership({ over = false } = {}): void {
    const ownership = this.#ownership
    if (ownership?.state !== 'open') return
    ownership.state = over ? 'over' : 'revoking'
    this.#tell(() => {
      this.#handlers.revoked(ownership.epoch)
    })
    ownership.state = 'over'
  }

  #fail(fault: LabelstreamError): void {
    // once: a handler that throws while it is told comes back here
    if (this.#closed || this.#failed) return
    this.#failed = true
    this.#endOwnership()
    this.#tell(() => {
      this.#handlers.failed(fault)
    })
    void this.#member?.close()
  }

  /** A handler that throws must not look like a fault of kafkajs, which would try again. */
  #tell(call: () => void): void {
    if (this.#closed) return
    try {
      call()
    } catch (error) {
      this.#fail(asLabelstreamError(error))
    }
  }
}
