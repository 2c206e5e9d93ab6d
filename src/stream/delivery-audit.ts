import type { Position } from '../formats/message.ts'
import { AuditedOffsets, type OutcomeKind } from './audited-offsets.ts'
import { OutcomeOrder, type OutcomeTopic } from './outcome-order.ts'

/** What is looked at of one input partition. */
export interface AuditedRange {
  readonly partition: number
  /** The log's first offset that is still there. */
  readonly beginning: number
  /** First offset that is looked at. */
  readonly from: number
  /** One past the last: what the group had committed. */
  readonly to: number
}

export interface AuditPlan {
  readonly topic: string
  readonly ranges: readonly AuditedRange[]
  readonly scores: OutcomeTopic
  readonly deadLetters: OutcomeTopic
  /** How many places are named of each kind of fault. */
  readonly examples: number
}

/** Where an outcome says that it comes from. */
export interface OutcomeSource extends Position {
  /** Of the input, where the outcome names it. */
  readonly timestampMs?: number
}

export interface DeliveryCounts {
  /** Messages with a value below the committed offset: scored + deadLettered + missing + eventsGone. */
  readonly inputs: number
  readonly scored: number
  /** With a dead letter and no score. */
  readonly deadLettered: number
  /** With neither, although nothing was removed that could have been theirs. */
  readonly missing: number
  /** With more than one outcome. */
  readonly duplicated: number
  /** Outcomes behind that of a later input of their partition, repetitions apart. */
  readonly outOfOrder: number
  /** Outcomes whose input is not in the log any more. */
  readonly sourceGone: number
  /** Without outcome, where outcomes were removed. */
  readonly eventsGone: number
  /** Tombstones: nothing is published for them. */
  readonly skipped: number
}

export interface PartitionCounts extends DeliveryCounts {
  readonly partition: number
  readonly from: number
  readonly to: number
}

export interface DeliveryFindings extends DeliveryCounts {
  /** Of those missing, the ones before the first outcome of their partition. */
  readonly missingAtStart: number
  /** Outcomes of inputs at or above the committed offset: not finished yet, or to be repeated. */
  readonly ahead: number
  /** Outcomes of inputs before the range. */
  readonly outside: number
  /** Outcomes of other input topics. */
  readonly otherTopics: number
  readonly partitions: readonly PartitionCounts[]
  readonly examples: Readonly<Record<ExampleKind, readonly Position[]>>
}

type ExampleKind = 'missing' | 'duplicated' | 'outOfOrder' | 'sourceGone'

interface PartitionAudit {
  readonly range: AuditedRange
  readonly offsets: AuditedOffsets
  skipped: number
  outOfOrder: number
  sourceGone: number
  firstOutcome: number
}

/**
 * The books of an audit: told first of every input of the ranges, then of every record of both topics of outcomes
 * in their order, it knows what is missing, repeated and out of order. Needs five bytes an input.
 */
export class DeliveryAudit {
  readonly #plan: AuditPlan
  readonly #partitions = new Map<number, PartitionAudit>()
  readonly #orders: Readonly<Record<OutcomeKind, OutcomeOrder>>
  readonly #examples: Record<ExampleKind, Position[]> = {
    missing: [],
    duplicated: [],
    outOfOrder: [],
    sourceGone: [],
  }
  #ahead = 0
  #outside = 0
  #otherTopics = 0
  #sourceGoneElsewhere = 0

  constructor(plan: AuditPlan) {
    this.#plan = plan
    this.#orders = {
      score: new OutcomeOrder(plan.scores),
      deadLetter: new OutcomeOrder(plan.deadLetters),
    }
    for (const range of plan.ranges) {
      this.#partitions.set(range.partition, {
        range,
        offsets: new AuditedOffsets(),
        skipped: 0,
        outOfOrder: 0,
        sourceGone: 0,
        firstOutcome: Infinity,
      })
    }
  }

  /** A message of the input topic; one without a value is not an input. */
  input(message: Position & { readonly timestampMs: number; readonly value: Buffer | null }): void {
    const audit = this.#partitions.get(message.partition)
    if (audit === undefined) return
    if (message.value === null) audit.skipped++
    else audit.offsets.add(message.offset, message.timestampMs)
  }

  /** A record of a topic of outcomes, whatever it holds. */
  record(kind: OutcomeKind, record: Pick<Position, 'partition'> & { readonly timestampMs: number }): void {
    this.#orders[kind].record(record.partition, record.timestampMs)
  }

  /** What a record says: an outcome of `source`. True when that is an input in the ranges. */
  outcome(kind: OutcomeKind, outcomePartition: number, source: OutcomeSource): boolean {
    const { topic, partition, offset } = source
    if (topic !== this.#plan.topic) {
      this.#otherTopics++
      return false
    }
    const audit = this.#partitions.get(partition)
    if (audit === undefined) {
      this.#sourceGoneElsewhere++
      this.#example('sourceGone', source)
      return false
    }
    const { range } = audit
    if (offset >= range.to) {
      this.#ahead++
      return false
    }
    if (offset < range.from && range.from > range.beginning) {
      this.#outside++
      return false
    }
    const noted = audit.offsets.note(kind, offset, source.timestampMs)
    if (noted === 'no input') {
      audit.sourceGone++
      this.#example('sourceGone', source)
      return false
    }
    audit.firstOutcome = Math.min(audit.firstOutcome, offset)
    if (!this.#orders[kind].inOrder(outcomePartition, partition, offset, noted === 'repeated')) {
      audit.outOfOrder++
      this.#example('outOfOrder', source)
    }
    return true
  }

  /** Where a topic of outcomes begins when it has been read: retention goes on meanwhile. */
  beginnings(kind: OutcomeKind, offsets: ReadonlyMap<number, number>): void {
    this.#orders[kind].beginnings(offsets)
  }

  /** When everything was told; asked once. */
  findings(): DeliveryFindings {
    let missingAtStart = 0
    const partitions = [...this.#partitions.values()].map((audit) => {
      const counts = this.#countsOf(audit)
      missingAtStart += counts.missingAtStart
      return counts.partition
    })
    const total = (name: keyof DeliveryCounts): number => partitions.reduce((sum, one) => sum + one[name], 0)
    return {
      inputs: total('inputs'),
      scored: total('scored'),
      deadLettered: total('deadLettered'),
      missing: total('missing'),
      duplicated: total('duplicated'),
      outOfOrder: total('outOfOrder'),
      sourceGone: total('sourceGone') + this.#sourceGoneElsewhere,
      eventsGone: total('eventsGone'),
      skipped: total('skipped'),
      missingAtStart,
      ahead: this.#ahead,
      outside: this.#outside,
      otherTopics: this.#otherTopics,
      partitions,
      examples: this.#examples,
    }
  }

  #countsOf(audit: PartitionAudit): { partition: PartitionCounts; missingAtStart: number } {
    const { partition, from, to } = audit.range
    const counts = { inputs: 0, scored: 0, deadLettered: 0, missing: 0, duplicated: 0, eventsGone: 0 }
    let missingAtStart = 0
    for (const { offset, timestampMs, scored, deadLettered, repeated } of audit.offsets.inputs()) {
      const position = { topic: this.#plan.topic, partition, offset }
      counts.inputs++
      if (repeated) {
        counts.duplicated++
        this.#example('duplicated', position)
      }
      if (scored) counts.scored++
      else if (deadLettered) counts.deadLettered++
      else if (this.#mayBeGone(partition, offset, timestampMs)) counts.eventsGone++
      else {
        counts.missing++
        if (offset < audit.firstOutcome) missingAtStart++
        this.#example('missing', position)
      }
    }
    const { skipped, outOfOrder, sourceGone } = audit
    return { partition: { partition, from, to, ...counts, outOfOrder, sourceGone, skipped }, missingAtStart }
  }

  #mayBeGone(partition: number, offset: number, timestampMs: number): boolean {
    return Object.values(this.#orders).some((order) => order.mayBeGone(partition, offset, timestampMs))
  }

  #example(kind: ExampleKind, { topic, partition, offset }: Position): void {
    const list = this.#examples[kind]
    if (list.length < this.#plan.examples) list.push({ topic, partition, offset })
  }
}
