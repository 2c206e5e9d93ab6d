import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { monotonicMs, sleep } from '../../src/core/clock.ts'
import type { Random } from '../../src/core/random.ts'
import { writerSchemas } from '../../src/formats/avro-value.ts'
import type { SourceMessage } from '../../src/formats/message.ts'
import { decodeLabelScores } from '../../src/formats/scores.ts'
import { committedOffsets, createTopics, endOffsets } from '../../src/kafka/admin.ts'
import { readRange } from '../../src/kafka/read-range.ts'
import { Writer } from '../../src/kafka/writer.ts'
import type { CheckResult, DeliveryMode, Evidence } from './checker.ts'
import { Member } from './member.ts'
import { expectationOf, maxTextBytes, someMessage, textNumberOf } from './texts.ts'
import type { FaultWorld } from './world.ts'

export interface JobOptions {
  readonly name: string
  readonly mode: DeliveryMode
  readonly messages: number
  /** Produced over this time, so that faults find work under way. */
  readonly produceMs: number
  readonly poisonShare: number
  readonly partitions: number
  readonly settings?: Readonly<Record<string, string | number>>
  readonly cliFile?: string
  /** Whether the members reach the brokers through proxies. */
  readonly proxied?: boolean
}

/** The program as compiled beside this file. */
export const ownCliFile = fileURLToPath(new URL('../../src/cli.js', import.meta.url))

const producedAtOnce = 50
/** A broker that keeps silent is asked until the request times out, several times over. */
const orderlyEndMs = 90_000
const evidencePatienceMs = 60_000

/** One group that works on one input topic in one mode, its members, and what it left behind. */
export class Job {
  readonly world: FaultWorld
  readonly options: JobOptions
  readonly random: Random
  readonly topics: { readonly input: string; readonly scores: string; readonly deadLetters: string }
  readonly group: string
  readonly members: Member[] = []
  #started = 0

  private constructor(world: FaultWorld, options: JobOptions) {
    this.world = world
    this.options = options
    this.random = world.random(options.name)
    this.group = options.name
    this.topics = {
      input: `${options.name}-texts`,
      scores: `${options.name}-scores`,
      deadLetters: `${options.name}-dead-letters`,
    }
  }

  static async create(world: FaultWorld, options: JobOptions): Promise<Job> {
    const job = new Job(world, options)
    const { input, scores, deadLetters } = job.topics
    await createTopics(world.client, [
      { topic: input, partitions: options.partitions },
      { topic: scores, partitions: 3 },
      { topic: deadLetters, partitions: 2 },
    ])
    return job
  }

  /** Writes the input, spread over `produceMs`. Kafka may hold some of it twice: what it holds is the input. */
  async produce(): Promise<void> {
    const { messages, produceMs, partitions, poisonShare, name } = this.options
    const random = this.world.random(`${name} input`)
    const writer = await Writer.connect(this.world.client)
    const startedMs = monotonicMs()
    try {
      for (let sent = 0; sent < messages; sent += producedAtOnce) {
        const partition = random.integer(partitions)
        const batch = Array.from({ length: Math.min(producedAtOnce, messages - sent) }, () =>
          someMessage(random, this.world.texts, poisonShare),
        )
        await writer.send(this.topics.input, partition, batch)
        const dueMs = startedMs + (produceMs * (sent + batch.length)) / messages
        await sleep(Math.max(0, dueMs - monotonicMs()))
      }
    } finally {
      await writer.close()
    }
  }

  startMember(untilEnd = false): Member {
    const { proxies, kafka } = this.world
    const { brokers } = this.options.proxied === true ? proxies : kafka
    const member = new Member({
      cliFile: this.options.cliFile ?? ownCliFile,
      untilEnd,
      logFile: join(this.world.folder, `${this.options.name}-${++this.#started}.log`),
      settings: {
        'kafka.brokers': brokers.join(','),
        'kafka.sessionTimeoutMs': 6_000,
        'kafka.connectionTimeoutMs': 1_000,
        'kafka.requestTimeoutMs': 10_000,
        'input.topic': this.topics.input,
        'input.maxTextBytes': maxTextBytes,
        'output.topic': this.topics.scores,
        'deadLetters.topic': this.topics.deadLetters,
        group: this.group,
        model: this.world.modelFolder,
        delivery: this.options.mode,
        'runtime.provider': 'cpu',
        'runtime.precision': 'fp32',
        'runtime.threads': 1,
        'runtime.deadlineMs': 3_000,
        'stream.commitIntervalMs': 100,
        'http.port': 0,
        'log.format': 'json',
        'exactlyOnce.transactionMs': 50,
        ...this.options.settings,
      },
    })
    this.members.push(member)
    return member
  }

  get running(): Member[] {
    return this.members.filter((member) => member.running)
  }

  /** Ends the members in order, then lets one work to the end; throws when it does not succeed. */
  async finish(timeoutMs = 120_000): Promise<{ code: number | null; printed: string }> {
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

  /** Only a signal ends a member: faults of the infrastructure are waited out. */
  endedByThemselves(): CheckResult {
    const ended = this.members.filter((member) => member.endedByItself)
    return {
      name: 'no member gives up by itself',
      looked: this.members.length,
      broken: ended.length,
      examples: ended.map((member) => member.log.trim().split('\n').at(-1) ?? '').slice(0, 5),
    }
  }

  async kill(): Promise<void> {
    await Promise.all(this.running.map((member) => member.kill()))
  }

  /** What Kafka holds now; the committed offsets are read first. Brokers may take a while to answer. */
  async evidence(): Promise<Evidence> {
    const deadline = monotonicMs() + evidencePatienceMs
    for (;;) {
      try {
        return await this.#evidence()
      } catch (error) {
        if (monotonicMs() > deadline) throw error
        await sleep(500)
      }
    }
  }

  async #evidence(): Promise<Evidence> {
    const { client, texts, reference, modelDigest } = this.world
    const committed = await committedOffsets(client, this.group, this.topics.input)
    const ends = await endOffsets(client, this.topics.input)
    const schemas = writerSchemas()
    const inputs = await this.#all(this.topics.input)
    const scores = await this.#all(this.topics.scores)
    const deadLetters = await this.#all(this.topics.deadLetters)
    return {
      mode: this.options.mode,
      inputs,
      expectation: expectationOf,
      scores: await Promise.all(
        scores.map(async (message) => ({
          message,
          event: await decodeLabelScores(message.value ?? Buffer.of(), schemas),
        })),
      ),
      deadLetters,
      committed,
      ends,
      modelDigest,
      reference: (input) => (texts.length === 0 ? undefined : reference[textNumberOf(input)]),
    }
  }

  async #all(topic: string): Promise<SourceMessage[]> {
    const messages: SourceMessage[] = []
    for await (const message of readRange(this.world.client, topic)) messages.push(message)
    return messages
  }
}
