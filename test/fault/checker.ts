import { deadLetterReason } from '../../src/formats/dead-letter.ts'
import type { MessageHeaders, SourceMessage } from '../../src/formats/message.ts'
import type { LabelScores } from '../../src/formats/scores.ts'
import type { ModelAnswer } from './reference.ts'

export type DeliveryMode = 'at-least-once' | 'exactly-once'

/** What a message of the input should become. */
export type Expectation = 'score' | 'dead letter' | 'nothing'

/** Everything that is in Kafka after a run, as a read_committed reader sees it, each topic in its own order. */
export interface Evidence {
  readonly mode: DeliveryMode
  /** Whether brokers carry out requests that were given up long ago. */
  readonly lateRequests: boolean
  readonly inputs: readonly SourceMessage[]
  readonly expectation: (input: SourceMessage) => Expectation
  readonly scores: readonly { readonly message: SourceMessage; readonly event: LabelScores }[]
  readonly deadLetters: readonly SourceMessage[]
  /** Input partition to committed offset. */
  readonly committed: ReadonlyMap<number, number>
  /** Every commit of the input, in the order in which they counted. */
  readonly commits: readonly { readonly partition: number; readonly offset: number }[]
  /** Input partition to end offset. */
  readonly ends: ReadonlyMap<number, number>
  /** What the model of this digest says of an input; undefined when it is none of those that may serve. */
  readonly reference: (input: SourceMessage, digest: string) => ModelAnswer | undefined
}

/** One invariant and how often it was broken. */
export interface CheckResult {
  readonly name: string
  readonly looked: number
  readonly broken: number
  /** The first few breaches. */
  readonly examples: readonly string[]
}

interface Outcome {
  readonly kind: 'score' | 'dead letter'
  /** topic/partition/offset of the input. */
  readonly input: string
  readonly partition: number
  readonly offset: number
}

type Check = (evidence: Evidence, outcomes: ReadonlyMap<string, readonly Outcome[]>) => CheckResult

const idOf = (input: { topic: string; partition: number; offset: number }): string =>
  `${input.topic}/${input.partition}/${input.offset}`

/** Collects the breaches of one invariant. */
class Tally {
  readonly #name: string
  #looked = 0
  readonly #broken: string[] = []

  constructor(name: string) {
    this.#name = name
  }

  look(holds: boolean, otherwise: () => string): void {
    this.#looked++
    if (!holds) this.#broken.push(otherwise())
  }

  get result(): CheckResult {
    return {
      name: this.#name,
      looked: this.#looked,
      broken: this.#broken.length,
      examples: this.#broken.slice(0, 5),
    }
  }
}

const nothingLost: Check = ({ inputs, expectation }, outcomes) => {
  const tally = new Tally('every input has its score or its dead letter')
  for (const input of inputs) {
    if (expectation(input) === 'nothing') continue
    tally.look(outcomes.has(idOf(input)), () => `${idOf(input)} has nothing`)
  }
  return tally.result
}

const nothingDoubled: Check = ({ inputs }, outcomes) => {
  const tally = new Tally('a read_committed reader sees each input once')
  for (const input of inputs) {
    const times = outcomes.get(idOf(input))?.length ?? 0
    tally.look(times <= 1, () => `${idOf(input)} came ${times} times`)
  }
  return tally.result
}

const rightKind: Check = ({ inputs, expectation }, outcomes) => {
  const tally = new Tally('texts are scored and only poison is dead-lettered')
  for (const input of inputs) {
    const expected = expectation(input)
    for (const { kind } of outcomes.get(idOf(input)) ?? []) {
      tally.look(kind === expected, () => `${idOf(input)} became a ${kind}, expected: ${expected}`)
    }
  }
  return tally.result
}

const nothingInvented: Check = ({ inputs }, outcomes) => {
  const known = new Set(inputs.map(idOf))
  const tally = new Tally('every outcome belongs to an input')
  for (const id of outcomes.keys()) tally.look(known.has(id), () => `${id} is no input`)
  return tally.result
}

/** Redelivery repeats a stretch; what comes for the first time still comes in order. */
const inOrder: Check = ({ mode, scores, deadLetters }) => {
  const tally = new Tally('outcomes of a partition come in the order of its inputs')
  const streams = [scoreOutcomes(scores), deadLetterOutcomes(deadLetters)]
  for (const stream of streams) {
    const last = new Map<number, number>()
    const seen = new Set<string>()
    for (const { input, partition, offset } of stream) {
      const again = seen.has(input)
      seen.add(input)
      if (again && mode === 'at-least-once') continue
      const before = last.get(partition) ?? -1
      tally.look(offset > before, () => `${input} came after offset ${before}`)
      last.set(partition, Math.max(before, offset))
    }
  }
  return tally.result
}

const committedNotAhead: Check = ({ inputs, committed, expectation }, outcomes) => {
  const tally = new Tally('committed offsets are not ahead of the output')
  for (const input of inputs) {
    if (expectation(input) === 'nothing' || input.offset >= (committed.get(input.partition) ?? 0)) continue
    tally.look(outcomes.has(idOf(input)), () => `${idOf(input)} is committed and has nothing`)
  }
  return tally.result
}

const committedToTheEnd: Check = ({ committed, ends }) => {
  const tally = new Tally('everything is committed in the end')
  for (const [partition, end] of ends) {
    if (end === 0) continue
    tally.look(committed.get(partition) === end, () => `${partition}: ${committed.get(partition)} of ${end}`)
  }
  return tally.result
}

const deadLettersUnchanged: Check = ({ inputs, deadLetters }) => {
  const tally = new Tally('dead letters are byte for byte their inputs')
  const byId = new Map(inputs.map((input) => [idOf(input), input]))
  for (const letter of deadLetters) {
    const reason = deadLetterReason(letter.headers)
    const input = reason === undefined ? undefined : byId.get(idOf(reason))
    tally.look(
      input !== undefined && sameBytes(input, letter),
      () => `a dead letter of ${input === undefined ? 'nobody' : idOf(input)}`,
    )
  }
  return tally.result
}

/**
 * In transactions, whatever happens. At least once, a commit that was given up may come after its successor where
 * requests come late: the group then has more to do again, and has lost nothing.
 */
const commitsGoForward: Check = ({ mode, lateRequests, commits }) => {
  const tally = new Tally('committed offsets never go back')
  if (mode === 'at-least-once' && lateRequests) return tally.result
  const last = new Map<number, number>()
  for (const { partition, offset } of commits) {
    const before = last.get(partition) ?? 0
    tally.look(offset >= before, () => `partition ${partition} went from ${before} to ${offset}`)
    last.set(partition, offset)
  }
  return tally.result
}

const scoresAreTheModels: Check = ({ inputs, scores, expectation, reference }) => {
  const tally = new Tally('scores, decision and version are those of the model whose digest the event names')
  const byId = new Map(inputs.map((input) => [idOf(input), input]))
  for (const { event, message } of scores) {
    const input = byId.get(event.eventId)
    if (input === undefined || expectation(input) !== 'score') continue
    const answer = reference(input, event.model.digest)
    const { name, version } = event.model
    const own =
      answer?.version === version &&
      String(message.headers['labelstream-model']) === `${name}@${version}` &&
      Object.keys(event.scores).length === Object.keys(answer.scores).length &&
      Object.entries(answer.scores).every(
        ([label, value]) => Math.abs((event.scores[label] ?? NaN) - value) < closeEnough,
      ) &&
      decidedAlike(event, answer)
    tally.look(own, () => `${event.eventId} has scores of another text or model`)
  }
  return tally.result
}

/** Batching changes the last bits of a score. */
const closeEnough = 1e-3

/** The same labels in the order of their scores; two scores that are next to each other may change places. */
function decidedAlike({ labels, scores }: LabelScores, answer: ModelAnswer): boolean {
  const sameLabels = [...labels].sort().join('\0') === [...answer.labels].sort().join('\0')
  return (
    sameLabels &&
    labels.every((label, index) => (scores[label] ?? 0) <= (scores[labels[index - 1] ?? label] ?? 1))
  )
}

const always = [
  nothingLost,
  rightKind,
  nothingInvented,
  inOrder,
  committedNotAhead,
  committedToTheEnd,
  commitsGoForward,
  deadLettersUnchanged,
  scoresAreTheModels,
] as const

/** Every invariant of a finished run. */
export function checkRun(evidence: Evidence): CheckResult[] {
  const outcomes = outcomesOf(evidence)
  const checks: readonly Check[] = evidence.mode === 'exactly-once' ? [nothingDoubled, ...always] : always
  return checks.map((check) => check(evidence, outcomes))
}

/** What must hold at any moment, when `committed` was read before the output. */
export function checkMoment(evidence: Evidence): CheckResult {
  return committedNotAhead(evidence, outcomesOf(evidence))
}

/** How often redelivery doubled an outcome: allowed at least once, worth knowing. */
export function repeatedOutcomes(evidence: Evidence): number {
  let repeated = 0
  for (const outcomes of outcomesOf(evidence).values()) repeated += outcomes.length - 1
  return repeated
}

/** The upper end of the 95 % interval of a probability that showed itself 0 of `looked` times (rule of three). */
export function boundOf({ looked, broken }: CheckResult): string {
  if (broken > 0) return `${broken} broken`
  return looked === 0
    ? 'nothing to look at'
    : `0 of ${looked}, below ${(3 / looked).toPrecision(2)} with 95 %`
}

function outcomesOf(evidence: Evidence): Map<string, Outcome[]> {
  const outcomes = new Map<string, Outcome[]>()
  for (const outcome of [...scoreOutcomes(evidence.scores), ...deadLetterOutcomes(evidence.deadLetters)]) {
    const known = outcomes.get(outcome.input)
    if (known === undefined) outcomes.set(outcome.input, [outcome])
    else known.push(outcome)
  }
  return outcomes
}

function scoreOutcomes(scores: Evidence['scores']): Outcome[] {
  return scores.map(({ event }) => ({
    kind: 'score',
    input: event.eventId,
    partition: event.source.partition,
    offset: event.source.offset,
  }))
}

function deadLetterOutcomes(deadLetters: readonly SourceMessage[]): Outcome[] {
  return deadLetters.map((letter) => {
    const reason = deadLetterReason(letter.headers)
    if (reason === undefined) return { kind: 'dead letter', input: 'unknown', partition: -1, offset: -1 }
    return { kind: 'dead letter', input: idOf(reason), partition: reason.partition, offset: reason.offset }
  })
}

function sameBytes(input: SourceMessage, letter: SourceMessage): boolean {
  return (
    sameBuffer(input.key, letter.key) &&
    sameBuffer(input.value, letter.value) &&
    Object.keys(input.headers).every((name) => sameHeader(input.headers[name], letter.headers[name]))
  )
}

const sameBuffer = (a: Buffer | null, b: Buffer | null): boolean =>
  a === null || b === null ? a === b : a.equals(b)

function sameHeader(a: MessageHeaders[string], b: MessageHeaders[string]): boolean {
  const [left, right] = [a, b].map((value) => (Array.isArray(value) ? value : [value]).map(String))
  return left?.join('\0') === right?.join('\0')
}
