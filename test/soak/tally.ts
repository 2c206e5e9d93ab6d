import { deadLetterReason } from '../../src/formats/dead-letter.ts'
import type { SourceMessage } from '../../src/formats/message.ts'
import type { LabelScores } from '../../src/formats/scores.ts'
import type { CheckResult, DeliveryMode } from '../fault/checker.ts'
import { expectationOf, textNumberOf } from '../fault/texts.ts'

/** What the model of this digest says of a text, label by label. */
export type Reference = (digest: string, textNumber: number) => Readonly<Record<string, number>> | undefined

interface PartitionTally {
  /** By offset: 0 nothing is expected, 1 a score, 2 a dead letter. */
  readonly expected: Uint8Array
  readonly textNumbers: Uint16Array
  /** By offset, up to 255. */
  readonly outcomes: Uint8Array
  lastScore: number
  lastDeadLetter: number
}

const kinds = { nothing: 0, score: 1, 'dead letter': 2 } as const
const examplesKept = 5

/** The invariants of a run of millions: a few bytes an input instead of the messages themselves. */
export class SoakTally {
  readonly #mode: DeliveryMode
  readonly #reference: Reference
  readonly #partitions = new Map<number, PartitionTally>()
  readonly #checks = new Map<string, { looked: number; broken: number; examples: string[] }>()
  #inputs = 0

  /** `ends`: input partition to end offset. */
  constructor(mode: DeliveryMode, ends: ReadonlyMap<number, number>, reference: Reference) {
    this.#mode = mode
    this.#reference = reference
    for (const [partition, end] of ends) {
      this.#partitions.set(partition, {
        expected: new Uint8Array(end),
        textNumbers: new Uint16Array(end),
        outcomes: new Uint8Array(end),
        lastScore: -1,
        lastDeadLetter: -1,
      })
    }
  }

  get inputs(): number {
    return this.#inputs
  }

  input(message: SourceMessage): void {
    const tally = this.#partitions.get(message.partition)
    if (tally === undefined) return
    this.#inputs++
    const expected = expectationOf(message)
    tally.expected[message.offset] = kinds[expected]
    if (expected === 'score') tally.textNumbers[message.offset] = textNumberOf(message)
  }

  score(event: LabelScores): void {
    const { partition, offset } = event.source
    const tally = this.#count('score', partition, offset)
    if (tally === undefined) return
    tally.lastScore = this.#inOrder(partition, offset, tally.lastScore)
    this.#sameScores(event, tally.textNumbers[offset] ?? 0)
  }

  deadLetter(message: SourceMessage): void {
    const reason = deadLetterReason(message.headers)
    const { partition = -1, offset = -1 } = reason ?? {}
    const tally = this.#count('dead letter', partition, offset)
    if (tally !== undefined) tally.lastDeadLetter = this.#inOrder(partition, offset, tally.lastDeadLetter)
  }

  /** When all inputs, scores and dead letters were told, in this order. */
  results(): CheckResult[] {
    for (const [partition, { expected, outcomes }] of this.#partitions) {
      for (let offset = 0; offset < expected.length; offset++) {
        if (expected[offset] === kinds.nothing) continue
        const times = outcomes[offset] ?? 0
        const where = (): string => `${partition}/${offset} has ${times}`
        this.#look('every input has its score or its dead letter', times > 0, where)
        if (this.#mode === 'exactly-once')
          this.#look('a read_committed reader sees each input once', times <= 1, where)
      }
    }
    return [...this.#checks].map(([name, check]) => ({ name, ...check }))
  }

  #count(kind: 'score' | 'dead letter', partition: number, offset: number): PartitionTally | undefined {
    const tally = this.#partitions.get(partition)
    const known = tally !== undefined && offset >= 0 && offset < tally.expected.length
    this.#look('every outcome belongs to an input', known, () => `${partition}/${offset} is no input`)
    if (!known) return undefined
    const right = tally.expected[offset] === kinds[kind]
    this.#look(
      'texts are scored and only poison is dead-lettered',
      right,
      () => `${partition}/${offset}: ${kind}`,
    )
    tally.outcomes[offset] = Math.min(255, (tally.outcomes[offset] ?? 0) + 1)
    return tally
  }

  /** Redelivery repeats a stretch; what comes for the first time still comes in order. */
  #inOrder(partition: number, offset: number, last: number): number {
    const again = (this.#partitions.get(partition)?.outcomes[offset] ?? 0) > 1
    if (again && this.#mode === 'at-least-once') return last
    const name = 'outcomes of a partition come in the order of its inputs'
    this.#look(name, offset > last, () => `${partition}/${offset} came after ${last}`)
    return Math.max(last, offset)
  }

  #sameScores({ scores, model, eventId }: LabelScores, textNumber: number): void {
    const expected = this.#reference(model.digest, textNumber)
    const close =
      expected !== undefined &&
      Object.entries(expected).every(([label, value]) => Math.abs((scores[label] ?? NaN) - value) < 1e-3)
    this.#look('scores are those of the model whose digest the event names', close, () => eventId)
  }

  #look(name: string, holds: boolean, otherwise: () => string): void {
    let check = this.#checks.get(name)
    if (check === undefined) {
      check = { looked: 0, broken: 0, examples: [] }
      this.#checks.set(name, check)
    }
    check.looked++
    if (holds) return
    check.broken++
    if (check.examples.length < examplesKept) check.examples.push(otherwise())
  }
}
