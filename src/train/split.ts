import { sha256 } from '../core/digest.ts'
import { LabelstreamError } from '../core/errors.ts'
import { isPositive } from '../evaluation/matrix.ts'
import { type Dataset, type Row, positivesOf } from './dataset.ts'
import {
  type Move,
  type RowGroup,
  type SplitFractions,
  type SplitPart,
  compareIds,
  splitParts,
  stratify,
} from './stratify.ts'
import { nearDuplicatesOf, textGroups } from './text-groups.ts'

export type Split = { readonly [Part in SplitPart]: Dataset }

export interface SplitByHash extends Split {
  /** What the hash alone would have done otherwise, a line each. */
  readonly notes: readonly string[]
}

/**
 * Parts by the hash of each row's id: a row keeps its part while the data grows around it. Near-duplicates stay
 * together, in the part of the smallest id among them; rows of rare labels may move, as `stratify` says. The parts
 * do not depend on the order of the rows.
 * Throws DATA_INVALID when nothing is left to train on or to choose thresholds with.
 */
export function splitByHash({ labels, rows }: Dataset, fractions: SplitFractions): SplitByHash {
  const { groupOf, templateTexts } = textGroups(rows.map(({ text }) => text))
  const stratified = stratify(rowGroups(rows, groupOf), labels, fractions)
  const parts: Record<SplitPart, Row[]> = { train: [], dev: [], test: [] }
  rows.forEach((row, place) => {
    parts[stratified.parts[groupOf[place] ?? 0] ?? 'train'].push(row)
  })
  for (const part of ['train', 'dev'] as const) {
    if (parts[part].length === 0) {
      throw new LabelstreamError(
        'DATA_INVALID',
        `${rows.length} rows are too few: none falls into the ${part} part`,
      )
    }
  }
  return {
    train: { labels, rows: parts.train },
    dev: { labels, rows: parts.dev },
    test: { labels, rows: parts.test },
    notes: [...templateNotes(templateTexts), ...moveNotes(labels, stratified.moves)],
  }
}

function rowGroups(rows: readonly Row[], groupOf: Uint32Array): RowGroup[] {
  const leaders: string[] = []
  const positives: Set<number>[] = []
  rows.forEach(({ id, targets }, place) => {
    const group = groupOf[place] ?? 0
    const leader = leaders[group]
    if (leader === undefined || compareIds(id, leader) < 0) leaders[group] = id
    const labels = (positives[group] ??= new Set())
    targets.forEach((target, label) => {
      if (isPositive(target)) labels.add(label)
    })
  })
  return leaders.map((leader, group) => ({
    leader,
    place: unitHash(leader),
    positives: [...(positives[group] ?? [])],
  }))
}

export interface WithoutTexts {
  readonly train: Dataset
  readonly notes: readonly string[]
}

/** Rows to train on without those that are near-duplicates of one in `other`. */
export function withoutTextsOf(train: Dataset, other: Dataset): WithoutTexts {
  const { isNear, onlyEqual } = nearDuplicatesOf(
    train.rows.map(({ text }) => text),
    other.rows.map(({ text }) => text),
  )
  const rows = train.rows.filter((_row, place) => isNear[place] !== true)
  const left = train.rows.length - rows.length
  const what = onlyEqual
    ? 'texts are also in dev (near-duplicates of it are too many to leave out)'
    : 'texts are in dev, too, or nearly so'
  return {
    train: { labels: train.labels, rows },
    notes: left === 0 && !onlyEqual ? [] : [`left out of training: ${left} rows whose ${what}`],
  }
}

/** What is odd about the parts, a line each: labels without positives. */
export function splitWarnings(split: Split): string[] {
  const { labels } = split.train
  const [train, dev, test] = splitParts.map((part) => positivesOf(split[part]))
  const where = (holds: (label: number) => boolean): string[] =>
    labels.filter((_label, place) => holds(place))
  const inTrain = (label: number): boolean => (train?.[label] ?? 0) > 0
  const inDev = (label: number): boolean => (dev?.[label] ?? 0) > 0
  const anywhere = (label: number): boolean => inTrain(label) || inDev(label) || (test?.[label] ?? 0) > 0
  return [
    ...line(
      'no positive in the data',
      where((label) => !anywhere(label)),
    ),
    ...line(
      'no positive in the train part',
      where((label) => anywhere(label) && !inTrain(label)),
    ),
    ...line(
      'no positive in the dev part, so that thresholds come from other labels',
      where((label) => anywhere(label) && !inDev(label)),
    ),
  ]
}

const templateNotes = (texts: number): string[] =>
  texts === 0
    ? []
    : [`${texts} texts are alike as if from templates: of them, only equal ones are kept in one part`]

function moveNotes(labels: readonly string[], moves: readonly Move[]): string[] {
  return splitParts.flatMap((part) => {
    const moved = moves.filter(({ to }) => to === part)
    const names = new Set(moved.map(({ label }) => labels[label] ?? ''))
    const groups = moved.length === 1 ? '1 text' : `${moved.length} texts`
    const whose = moved.length === 1 ? 'its' : 'their'
    return line(`${groups} moved to the ${part} part, where ${whose} hash left too few positives`, [...names])
  })
}

const namesShown = 10

function line(what: string, labels: readonly string[]): string[] {
  if (labels.length === 0) return []
  const shown = labels.slice(0, namesShown).join(', ')
  const more = labels.length > namesShown ? ` and ${labels.length - namesShown} more` : ''
  return [`${what}: ${labels.length === 1 ? 'label' : 'labels'} ${shown}${more}`]
}

/** 48 bits of a SHA-256 as a number in [0, 1). */
const unitHash = (id: string): number => Number.parseInt(sha256(id).slice(0, 12), 16) / 2 ** 48
