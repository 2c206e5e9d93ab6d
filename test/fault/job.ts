import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { monotonicMs, sleep } from '../../src/core/clock.ts'
import type { Random } from '../../src/core/random.ts'
import type { OutgoingMessage } from '../../src/formats/message.ts'
import { committedOffsets, createTopics } from '../../src/kafka/admin.ts'
import { Writer } from '../../src/kafka/writer.ts'
import { allowMembers } from './access.ts'
import type { CheckResult, DeliveryMode, Evidence } from './checker.ts'
import { evidenceOf } from './evidence.ts'
import { Member } from './member.ts'
import { maxTextBytes, someMessage } from './texts.ts'
import type { FaultWorld } from './world.ts'

export interface JobOptions {
  readonly name: string
  readonly mode: DeliveryMode
  readonly messages: number
  /** Produced over this time, so that faults find work under way. */
  readonly produceMs: number
  readonly poisonShare?: number
  readonly partitions?: number
  readonly lanes?: number
  readonly settings?: Readonly<Record<string, string | number>>
  readonly cliFile?: string
  /** Whether the members reach the brokers through proxies. */
  readonly proxied?: boolean
  /**
   * Whether requests come late: a commit whose answer nobody waits for any more, over a connection that is given up,
   * may then be carried out after the one that was sent in its place.
   */
  readonly lateRequests?: boolean
  /** Whether the members have a schema registry. */
  readonly registry?: boolean
  /** Whether the members serve whichever version is promoted; else it is the first one for good. */
  readonly followsChampion?: boolean
  /** Instead of texts with some poison among them. */
  readonly message?: (random: Random, texts: readonly string[]) => OutgoingMessage
  /** A few among the others, evenly spread. */
  readonly rare?: { readonly messages: number; readonly make: (random: Random) => OutgoingMessage }
  readonly topicConfig?: Partial<Record<'input' | 'deadLetters', Readonly<Record<string, string>>>>
  /** What a member's last line may be that ends by itself: where that is right. */
  readonly mayEndWith?: RegExp
}

/** The program as compiled beside this file. */
export const ownCliFile = fileURLToPath(new URL('../../src/cli.js', import.meta.url))

export const deadLetterPartitions = 2
const usualPoisonShare = 0.01
const mostAtOnce = 50
/** About so often something is written. */
const produceEveryMs = 250
/** A broker that keeps silent is asked until the request times out, several times over. */
const orderlyEndMs = 90_000
const evidencePatienceMs = 60_000

/** One group that works on one input topic in one mode, its members, and what it left behind. */
export class Job {
  readonly world: FaultWorld
  readonly options: JobOptions
  readonly topics: { readonly input: string; readonly scores: string; readonly deadLetters: string }
  readonly group: string
  readonly members: Member[] = []
  /** Of the messages that are written from now on. */
  poisonShare: number
  producing = false
  #started = 0
  #bursts = 0

  private constructor(world: FaultWorld, options: JobOptions) {
    this.world = world
    this.options = options
    this.group = options.name
    this.poisonShare = options.poisonShare ?? usualPoisonShare
    this.topics = {
      input: `${options.name}-texts`,
      scores: `${options.name}-scores`,
      deadLetters: `${options.name}-dead-letters`,
    }
  }

  static async create(world: FaultWorld, options: JobOptions): Promise<Job> {
    const job = new Job(world, options)
    const { input, scores, deadLetters } = job.topics
    const { topicConfig = {} } = options
    await createTopics(world.client, [
      { topic: input, partitions: job.partitions, config: topicConfig.input },
      { topic: scores, partitions: 3 },
      { topic: deadLetters, partitions: deadLetterPartitions, config: topicConfig.deadLetters },
    ])
    if (world.kafka.credentials !== undefined) await allowMembers(world.client, options.name)
    return job
  }

  get partitions(): number {
    return this.options.partitions ?? 6
  }

  get lanes(): number {
    return this.options.lanes ?? 4
  }

  get running(): Member[] {
    return this.members.filter((member) => member.running)
  }

  /** Writes the input, spread over `produceMs`. Kafka may hold some of it twice: what it holds is the input. */
  async produce(): Promise<void> {
    const { messages, produceMs, name } = this.options
    const random = this.world.random(`${name} input`)
    const writer = await Writer.connect(this.world.client)
    const startedMs = monotonicMs()
    this.producing = true
    try {
      const atOnce = Math.min(mostAtOnce, Math.max(1, Math.round((messages * produceEveryMs) / produceMs)))
      for (let sent = 0; sent < messages; sent += atOnce) {
        const partition = random.integer(this.partitions)
        const count = Math.min(atOnce, messages - sent)
        const batch = Array.from({ length: count }, (_none, index) => this.#next(random, sent + index))
        await writer.send(this.topics.input, partition, batch)
        const dueMs = startedMs + (produceMs * (sent + batch.length)) / messages
        await sleep(Math.max(0, dueMs - monotonicMs()))
      }
    } finally {
      this.producing = false
      await writer.close()
    }
  }

  /** Writes more texts at once, to every partition: the next batches are as large as they may be. */
  async burst(messages: number): Promise<void> {
    const { client, texts } = this.world
    const source = this.world.random(`${this.options.name} burst ${++this.#bursts}`)
    const writer = await Writer.connect(client)
    try {
      for (let partition = 0; partition < this.partitions; partition++) {
        const count = Math.ceil(messages / this.partitions)
        const batch = Array.from({ length: count }, () => someMessage(source, texts, this.poisonShare))
        await writer.send(this.topics.input, partition, batch)
      }
    } finally {
      await writer.close()
    }
  }

  #next(random: Random, number: number): OutgoingMessage {
    const { rare, message, messages } = this.options
    if (rare !== undefined && number % Math.ceil(messages / rare.messages) === 0) return rare.make(random)
    const { texts } = this.world
    return message?.(random, texts) ?? someMessage(random, texts, this.poisonShare)
  }

  startMember(untilEnd = false): Member {
    const { proxies, kafka, folder, registry, memberSettings, modelsFolder, models } = this.world
    const { proxied, mode, cliFile, settings } = this.options
    const { brokers } = proxied === true ? proxies : kafka
    const name = `${this.options.name}-${++this.#started}`
    const member = new Member({
      cliFile: cliFile ?? ownCliFile,
      untilEnd,
      clientId: name,
      logFile: join(folder, `${name}.log`),
      settings: {
        'kafka.brokers': brokers.join(','),
        ...memberSettings,
        'kafka.sessionTimeoutMs': 6_000,
        'kafka.connectionTimeoutMs': 1_000,
        'kafka.requestTimeoutMs': 10_000,
        'input.topic': this.topics.input,
        'input.maxTextBytes': maxTextBytes,
        'output.topic': this.topics.scores,
        'deadLetters.topic': this.topics.deadLetters,
        ...(this.options.registry === true ? { 'registry.url': registry.url } : {}),
        group: this.group,
        ...(this.options.followsChampion === true
          ? { model: 'small', 'models.folder': modelsFolder, 'models.pollMs': 100 }
          : { model: models[0].folder }),
        delivery: mode,
        'runtime.provider': 'cpu',
        'runtime.precision': 'fp32',
        'runtime.threads': 1,
        'runtime.deadlineMs': 3_000,
        'stream.commitIntervalMs': 100,
        // fewer than there are texts: some are scored, some are remembered
        'stream.cacheEntries': 100,
        'http.port': 0,
        'log.format': 'json',
        'exactlyOnce.lanes': this.lanes,
        'exactlyOnce.transactionMs': 50,
        ...settings,
      },
    })
    this.members.push(member)
    return member
  }

  /** Ends the members in order, then lets one work to the end; throws when it does not succeed. */
  async finish(timeoutMs = 300_000): Promise<{ code: number | null; printed: string }> {
    const running = this.running
    for (const member of running) member.signal('SIGCONT')
    for (const member of running) member.signal('SIGTERM')
    await Promise.all(running.map((member) => member.ended(orderlyEndMs)))
    const last = this.startMember(true)
    const result = await last.ended(timeoutMs)
    if (result.code !== 0)
      throw new Error(`the last run ended with ${result.code}\n${last.log.slice(-2_000)}`)
    return result
  }

  /** Only a signal ends a member, or what the job says: faults of the infrastructure are waited out. */
  endedByThemselves(): CheckResult {
    const { mayEndWith } = this.options
    const ended = this.members.filter(
      (member) => member.endedByItself && mayEndWith?.test(member.lastLine) !== true,
    )
    return {
      name: 'no member gives up by itself',
      looked: this.members.length,
      broken: ended.length,
      examples: ended.map((member) => member.lastLine).slice(0, 5),
    }
  }

  async kill(): Promise<void> {
    await Promise.all(this.running.map((member) => member.kill()))
  }

  /** The committed offsets of all partitions together. */
  async committed(): Promise<number> {
    const offsets = await patiently(() => committedOffsets(this.world.client, this.group, this.topics.input))
    return [...offsets.values()].reduce((sum, offset) => sum + offset, 0)
  }

  /** What Kafka holds now. */
  evidence(): Promise<Evidence> {
    return patiently(() => evidenceOf(this))
  }
}

/** Brokers may take a while to answer. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  const deadline = monotonicMs() + evidencePatienceMs
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (monotonicMs() > deadline) throw error
      await sleep(500)
    }
  }
}
