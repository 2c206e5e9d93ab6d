/** The parts of a data set, the one that is served first when there are too few rows for all. */
export const splitParts = ['train', 'dev', 'test'] as const
export type SplitPart = (typeof splitParts)[number]

export interface SplitFractions {
  readonly dev: number
  readonly test: number
}

/** Rows that stay together: their place on the line from 0 to 1, which is cut into test, dev and train. */
export interface RowGroup {
  /** Smallest id of the group, by `compareIds`. */
  readonly leader: string
  /** In [0, 1), from the leader's hash. */
  readonly place: number
  /** Places of the labels that apply to a row of the group. */
  readonly positives: readonly number[]
}

export interface Move {
  /** Place of the label for whose sake the group was moved. */
  readonly label: number
  readonly to: SplitPart
}

export interface Stratified {
  /** Each group's part. */
  readonly parts: SplitPart[]
  readonly moves: readonly Move[]
}

type Interval = readonly [from: number, to: number]

/**
 * A part for each group: by its place, so that it does not depend on other rows, unless that leaves a part with
 * less than half of the expected share of a label's positive groups, or with none. Then the groups of that label
 * whose places are nearest to the part move there, as few as will do, and none that another label needs where it is.
 * Of a label's groups the first one goes to train, the second to dev and the third to test.
 * The rarest labels choose first; labels with the same number of groups choose in the order of their names.
 */
export function stratify(
  groups: readonly RowGroup[],
  labels: readonly string[],
  { dev, test }: SplitFractions,
): Stratified {
  const intervals: { readonly [Part in SplitPart]: Interval } = {
    test: [0, test],
    dev: [test, test + dev],
    train: [test + dev, 1],
  }
  const parts = groups.map(({ place }): SplitPart =>
    place < test ? 'test' : place < test + dev ? 'dev' : 'train',
  )
  const groupsOf: number[][] = labels.map(() => [])
  const counts = { train: countsOf(labels), dev: countsOf(labels), test: countsOf(labels) }
  groups.forEach(({ positives }, group) => {
    const count = counts[parts[group] ?? 'train']
    for (const label of positives) {
      groupsOf[label]?.push(group)
      count[label] = (count[label] ?? 0) + 1
    }
  })
  const isEnough = (part: SplitPart, label: number, without = 0): boolean => {
    const [from, to] = intervals[part]
    const needed = neededGroups(groupsOf[label]?.length ?? 0, part, to - from)
    return (counts[part][label] ?? 0) - without >= needed
  }
  const nearest = (label: number, part: SplitPart): number | undefined => {
    let found: { readonly group: number; readonly distance: number } | undefined
    for (const group of groupsOf[label] ?? []) {
      const { leader, place, positives } = groups[group] as RowGroup
      const from = parts[group] ?? 'train'
      if (from === part || !positives.every((each) => isEnough(from, each, 1))) continue
      const distance = distanceTo(place, intervals[part])
      const isNearer =
        found === undefined ||
        distance < found.distance ||
        (distance === found.distance && compareIds(leader, groups[found.group]?.leader ?? '') < 0)
      if (isNearer) found = { group, distance }
    }
    return found?.group
  }

  const moves: Move[] = []
  for (const label of rarestFirst(labels, groupsOf)) {
    for (const part of splitParts) {
      while (!isEnough(part, label)) {
        const group = nearest(label, part)
        if (group === undefined) break
        for (const each of groups[group]?.positives ?? []) {
          const from = counts[parts[group] ?? 'train']
          from[each] = (from[each] ?? 0) - 1
          counts[part][each] = (counts[part][each] ?? 0) + 1
        }
        parts[group] = part
        moves.push({ label, to: part })
      }
    }
  }
  return { parts, moves }
}

/** Shorter ids first, so that counted ids keep their order: 9 before 10. */
export const compareIds = (a: string, b: string): number =>
  a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)

/** How many of a label's groups a part must have. */
function neededGroups(groups: number, part: SplitPart, share: number): number {
  const isServed = share > 0 && groups > splitParts.indexOf(part)
  return Math.max(Math.floor((groups * share) / 2), isServed ? 1 : 0)
}

const distanceTo = (place: number, [from, to]: Interval): number => Math.max(from - place, place - to, 0)

const countsOf = (labels: readonly string[]): Uint32Array => new Uint32Array(labels.length)

function rarestFirst(labels: readonly string[], groupsOf: readonly (readonly number[])[]): number[] {
  const sizeOf = (label: number): number => groupsOf[label]?.length ?? 0
  return [...labels.keys()].sort(
    (a, b) => sizeOf(a) - sizeOf(b) || ((labels[a] ?? '') < (labels[b] ?? '') ? -1 : 1),
  )
}
