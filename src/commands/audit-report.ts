import type { Position } from '../formats/message.ts'
import type { DeliveryFindings } from '../stream/delivery-audit.ts'
import type { RescoringFindings } from '../stream/rescorer.ts'
import { table } from './output.ts'

/** What `replay --verify --json` prints. */
export interface AuditReport
  extends Omit<DeliveryFindings, 'examples'>, Omit<RescoringFindings, 'examples' | 'models'> {
  readonly group: string
  readonly delivery: string
  /** Records of the topics of outcomes that are none of ours. */
  readonly foreign: number
  readonly models: RescoringFindings['models']
  readonly examples: DeliveryFindings['examples'] & { readonly differing: RescoringFindings['examples'] }
  readonly holds: boolean
}

export interface AuditFindings {
  readonly group: string
  readonly delivery: 'at-least-once' | 'exactly-once'
  readonly foreign: number
  readonly counted: DeliveryFindings
  readonly rescoring: RescoringFindings
}

export function auditReport({ group, delivery, foreign, counted, rescoring }: AuditFindings): AuditReport {
  const { examples, ...counts } = counted
  const { examples: differing, ...scores } = rescoring
  const report = {
    ...{ group, delivery, ...counts, foreign, ...scores },
    examples: { ...examples, differing },
  }
  return { ...report, holds: faultsOf(report).length === 0 }
}

/** What does not hold, a clause a kind with the first places; empty where all holds. Never a text. */
export function faultsOf(report: Omit<AuditReport, 'holds'>): string[] {
  const { missing, missingAtStart, duplicated, outOfOrder, differing, examples } = report
  const faults: string[] = []
  const add = (count: number, what: string, places: readonly Position[], more = ''): void => {
    if (count > 0) faults.push(`${count} ${what} (${placesOf(places, count)})${more}`)
  }
  add(
    missing,
    'below the committed offset with neither score nor dead letter',
    examples.missing,
    missingAtStart === missing
      ? ', all before the first outcome of their partition: if the group began there, say so with --since'
      : '',
  )
  if (report.delivery === 'exactly-once')
    add(duplicated, 'with more than one outcome under exactly-once', examples.duplicated)
  add(outOfOrder, 'out of order', examples.outOfOrder)
  const why = [...new Set(examples.differing.map(({ contradiction }) => contradiction))].join(', ')
  add(differing, `scored differently by their own model (${why})`, examples.differing)
  return faults
}

function placesOf(places: readonly Position[], count: number): string {
  const named = places.slice(0, 3).map(({ topic, partition, offset }) => `${topic}/${partition}/${offset}`)
  return count > named.length ? `${named.join(', ')}, …` : named.join(', ')
}

/** The partitions and their sum, then what is to be known beside it. */
export function auditTable(report: AuditReport): string {
  const columns = [
    'inputs',
    'scored',
    'deadLettered',
    'missing',
    'eventsGone',
    'duplicated',
    'outOfOrder',
    'sourceGone',
    'skipped',
  ] as const
  const header = [
    ...['Partition', 'From', 'To', 'Inputs', 'Scored', 'Dead letters', 'Missing', 'Outcome gone'],
    ...['Duplicated', 'Out of order', 'Source gone', 'Skipped'],
  ]
  const rows = report.partitions.map((row) => [
    ...[row.partition, row.from, row.to],
    ...columns.map((column) => row[column]),
  ])
  const sum = ['all', '', '', ...columns.map((column) => report[column])]
  return [table(header, [...rows, sum]), '', ...remarksOf(report)].join('\n')
}

function remarksOf(report: AuditReport): string[] {
  const { rescored, differing, largestDifference, models } = report
  const remarks: string[] = []
  if (rescored > 0) {
    remarks.push(
      `${rescored} events scored again, ${differing} differ; the largest difference of a score is ${largestDifference.toPrecision(2)}`,
    )
  }
  for (const { name, version, precision, events, why } of models) {
    remarks.push(`${events} events of ${name}@${version} in ${precision} could not be scored again: ${why}`)
  }
  const beside = [
    [report.ahead, 'outcomes of inputs that are not committed yet'],
    [report.outside, 'outcomes of inputs before the range'],
    [report.otherTopics, 'outcomes of other input topics'],
    [report.foreign, 'records that are neither scores nor dead letters'],
  ] as const
  for (const [count, what] of beside) if (count > 0) remarks.push(`${count} ${what}`)
  return remarks
}
