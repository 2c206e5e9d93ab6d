import { normalText, visitNearDuplicates } from './near-duplicates.ts'

/**
 * More near-duplicates of each other than this share of all texts (and more than a few) are texts of one template
 * rather than copies: kept on one side they would leave nothing to split.
 */
const template = { share: 0.1, texts: 10 } as const

const isTemplate = (alike: number, distinct: number): boolean =>
  alike > Math.max(template.texts, distinct * template.share)

export interface TextGroups {
  /** The group of each text, numbered from 0 in order of first appearance. */
  readonly groupOf: Uint32Array
  /** Texts of templates, which are in one group only where they are equal. */
  readonly templateTexts: number
}

/**
 * Groups of texts that are equal when normalised or near-duplicates, also where they are so only by way of others;
 * texts of a template only where they are equal.
 */
export function textGroups(texts: readonly string[]): TextGroups {
  const { distinct, placeOf } = distinctTexts(texts)
  const sets = new DisjointSets(distinct.length)
  visitNearDuplicates(distinct, {
    skip: (a, b) => sets.find(a) === sets.find(b),
    found: (a, b) => {
      sets.join(a, b)
    },
  })
  const sizes = new Uint32Array(distinct.length)
  for (const place of distinct.keys()) sizes[sets.find(place)] = (sizes[sets.find(place)] ?? 0) + 1
  const numbers = new Map<number, number>()
  let templateTexts = 0
  const groupOf = placeOf.map((place) => {
    const root = sets.find(place)
    const loosened = isTemplate(sizes[root] ?? 0, distinct.length)
    if (loosened) templateTexts++
    const group = loosened ? place : root
    const number = numbers.get(group) ?? numbers.size
    numbers.set(group, number)
    return number
  })
  return { groupOf, templateTexts }
}

export interface NearTexts {
  /** Whether each text is equal to one of the others when normalised, or a near-duplicate of one. */
  readonly isNear: readonly boolean[]
  /** Near-duplicates are so many that only equal texts count. */
  readonly onlyEqual: boolean
}

/** Which of `texts` are near-duplicates of one of `others`; where that is a template's work, which are equal to one. */
export function nearDuplicatesOf(texts: readonly string[], others: readonly string[]): NearTexts {
  const { distinct, placeOf } = distinctTexts([...others, ...texts])
  const isOther = new Uint8Array(distinct.length)
  for (const place of placeOf.subarray(0, others.length)) isOther[place] = 1
  const isNear = new Uint8Array(distinct.length)
  let near = 0
  visitNearDuplicates(distinct, {
    skip: (a, b) => isOther[a] === isOther[b] || isNear[isOther[a] === 1 ? b : a] === 1,
    found: (a, b) => {
      isNear[isOther[a] === 1 ? b : a] = 1
      near++
    },
  })
  const onlyEqual = isTemplate(near, distinct.length)
  return {
    isNear: Array.from(
      placeOf.subarray(others.length),
      (place) => isOther[place] === 1 || (!onlyEqual && isNear[place] === 1),
    ),
    onlyEqual,
  }
}

/** Each normalised text once, and where each given text stands among them. */
function distinctTexts(texts: readonly string[]): { distinct: string[]; placeOf: Uint32Array } {
  const places = new Map<string, number>()
  const placeOf = Uint32Array.from(texts, (text) => {
    const normal = normalText(text)
    const place = places.get(normal) ?? places.size
    places.set(normal, place)
    return place
  })
  return { distinct: [...places.keys()], placeOf }
}

/** Union-find with path halving; the smaller number is the root. */
class DisjointSets {
  readonly #parents: Uint32Array

  constructor(count: number) {
    this.#parents = Uint32Array.from({ length: count }, (_, place) => place)
  }

  find(place: number): number {
    for (let at = place; ;) {
      const parent = this.#parents[at] ?? at
      if (parent === at) return at
      at = this.#parents[at] = this.#parents[parent] ?? parent
    }
  }

  join(a: number, b: number): void {
    const [low, high] = [this.find(a), this.find(b)].sort((one, other) => one - other)
    if (low !== undefined && high !== undefined) this.#parents[high] = low
  }
}
