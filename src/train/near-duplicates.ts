/** Texts whose sets of word pairs have at least this Jaccard similarity count as near-duplicates: 7 / 10. */
const similarity = { numerator: 7, denominator: 10 } as const

/** Words of a text that are looked at: training and scoring read hardly further. */
const maxWords = 512

/** What bounds the work a text: texts that are looked up by one of its word pairs, and texts it is compared with. */
const maxFollowed = 1_000
const maxCompared = 200

/** Text without case, punctuation and spacing; what has no letters or digits stays as it is. */
export function normalText(text: string): string {
  const words = text
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/[^\p{Letter}\p{Mark}\p{Number}]+/gu, ' ')
    .trim()
  return words === '' ? text.trim() : words
}

/** Whether a pair need not be compared, and who hears of a pair of near-duplicates. Texts are named by their places. */
export interface PairVisitor {
  readonly skip: (a: number, b: number) => boolean
  readonly found: (a: number, b: number) => void
}

/**
 * Finds the pairs of normalised texts (`normalText`, each given once) that are near-duplicates. Every pair is found
 * as long as no text shares its rarest word pairs with more than 200 others of about its length; of more, it is
 * compared with 200. The time grows with the number of texts times their length: of each text only its rarest word
 * pairs are looked up, and texts that are as similar share one of them (prefix filter; Bayardo, Ma and Srikant 2007,
 * "Scaling up all pairs similarity search", with the shorter indexed prefix of Xiao et al. 2008).
 */
export function visitNearDuplicates(normalTexts: readonly string[], { skip, found }: PairVisitor): void {
  const { starts, tokens } = tokenSets(normalTexts)
  const sizeOf = (text: number): number => (starts[text + 1] ?? 0) - (starts[text] ?? 0)
  const order = Uint32Array.from(normalTexts.keys()).sort(
    (a, b) => sizeOf(a) - sizeOf(b) || compareTexts(normalTexts[a] ?? '', normalTexts[b] ?? ''),
  )
  const index = new PrefixIndex(tokens.length)
  const lastSeenBy = new Int32Array(normalTexts.length).fill(-1)
  for (const text of order) {
    const start = starts[text] ?? 0
    const size = sizeOf(text)
    const probed = start + size - atLeast(size, similarity.numerator, similarity.denominator) + 1
    let left = maxCompared
    for (let place = start; place < probed && left > 0; place++) {
      index.forLatest(tokens[place] ?? 0, maxFollowed, (other) => {
        const otherSize = sizeOf(other)
        // Texts come by size, so the ones before it are shorter still.
        if (otherSize * similarity.denominator < size * similarity.numerator) return false
        if (lastSeenBy[other] === text) return true
        lastSeenBy[other] = text
        if (skip(text, other)) return true
        left--
        const needed = atLeast(
          size + otherSize,
          similarity.numerator,
          similarity.numerator + similarity.denominator,
        )
        const otherStart = starts[other] ?? 0
        if (sharesAtLeast(tokens, { start, size }, { start: otherStart, size: otherSize }, needed)) {
          found(text, other)
        }
        return left > 0
      })
    }
    // Later texts are at least as long, so they share more of this one.
    const indexed =
      start +
      size -
      atLeast(size, 2 * similarity.numerator, similarity.numerator + similarity.denominator) +
      1
    for (let place = start; place < indexed; place++) index.add(tokens[place] ?? 0, text)
  }
}

/** The smallest whole number from `count * numerator / denominator` on, without rounding errors. */
const atLeast = (count: number, numerator: number, denominator: number): number =>
  Math.ceil((count * numerator) / denominator)

const compareTexts = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Languages that put no space between words: each of their characters is a word. */
const wordPattern =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]|[^\s\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]+/gu

interface TokenSets {
  /** Where each text's tokens begin; one more at the end. */
  readonly starts: Uint32Array
  /** The set of word pairs of each text, rarest first; equal pairs have equal numbers (but for 1 in 2^32). */
  readonly tokens: Float64Array
}

function tokenSets(normalTexts: readonly string[]): TokenSets {
  const sets = normalTexts.map(wordPairs)
  const starts = new Uint32Array(sets.length + 1)
  sets.forEach((set, text) => {
    starts[text + 1] = (starts[text] ?? 0) + set.length
  })
  // Rarity only orders, so it may be counted with collisions.
  const counts = new Uint32Array(1 << 20)
  for (const set of sets) for (const pair of set) counts[pair & 0xfffff] = (counts[pair & 0xfffff] ?? 0) + 1
  const tokens = new Float64Array(starts[sets.length] ?? 0)
  sets.forEach((set, text) => {
    const start = starts[text] ?? 0
    set.forEach((pair, place) => {
      tokens[start + place] = Math.min(counts[pair & 0xfffff] ?? 0, 0xfffff) * 2 ** 32 + pair
    })
    tokens.subarray(start, start + set.length).sort()
  })
  return { starts, tokens }
}

/** The set of pairs of neighbouring words as 32-bit hashes, with the text's two ends as words: never empty. */
function wordPairs(normal: string): Uint32Array {
  const words = normal.match(wordPattern) ?? []
  const pairs = new Set<number>()
  let before = 1
  for (const word of words.slice(0, maxWords)) {
    const hash = hashOf(word)
    pairs.add(pairHash(before, hash))
    before = hash
  }
  pairs.add(pairHash(before, 2))
  return Uint32Array.from(pairs)
}

/** FNV-1a over UTF-16 units. */
function hashOf(word: string): number {
  let hash = 0x811c9dc5
  for (let place = 0; place < word.length; place++) {
    hash = Math.imul(hash ^ word.charCodeAt(place), 0x01000193)
  }
  return hash >>> 0
}

/** The finaliser of MurmurHash3 over both. */
function pairHash(first: number, second: number): number {
  let hash = Math.imul(first, 0x9e3779b1) ^ second
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

interface TokenRange {
  readonly start: number
  readonly size: number
}

/** Whether two ascending ranges share `needed` numbers; ends as soon as they cannot. */
function sharesAtLeast(tokens: Float64Array, a: TokenRange, b: TokenRange, needed: number): boolean {
  let place = a.start
  let other = b.start
  const end = a.start + a.size
  const otherEnd = b.start + b.size
  let shared = 0
  while (shared + Math.min(end - place, otherEnd - other) >= needed) {
    if (shared === needed) return true
    const difference = (tokens[place] ?? 0) - (tokens[other] ?? 0)
    if (difference === 0) shared++
    if (difference <= 0) place++
    if (difference >= 0) other++
  }
  return false
}

/** Texts by token: chains in flat arrays. Tokens of one slot share a chain; comparing tells the texts apart. */
class PrefixIndex {
  readonly #heads: Int32Array
  readonly #next: Int32Array
  readonly #texts: Uint32Array
  #count = 0

  constructor(maxEntries: number) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(2, maxEntries)))
    this.#heads = new Int32Array(slots).fill(-1)
    this.#next = new Int32Array(maxEntries)
    this.#texts = new Uint32Array(maxEntries)
  }

  add(token: number, text: number): void {
    const slot = this.#slotOf(token)
    this.#texts[this.#count] = text
    this.#next[this.#count] = this.#heads[slot] ?? -1
    this.#heads[slot] = this.#count++
  }

  /** The token's texts, the latest added first, until `visit` answers false. */
  forLatest(token: number, limit: number, visit: (text: number) => boolean): void {
    let entry = this.#heads[this.#slotOf(token)] ?? -1
    for (let left = limit; entry >= 0 && left > 0; left--) {
      if (!visit(this.#texts[entry] ?? 0)) return
      entry = this.#next[entry] ?? -1
    }
  }

  #slotOf(token: number): number {
    return (token % 2 ** 32) & (this.#heads.length - 1)
  }
}
