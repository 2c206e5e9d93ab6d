const chunkOffsets = 65_536
const longestDeltaMs = 0x7fff_ffff

const bits = { input: 1, score: 2, deadLetter: 4, repeated: 8 } as const

/** What a topic of outcomes holds. */
export type OutcomeKind = 'score' | 'deadLetter'

interface Chunk {
  /** By offset: 0 where there is no input, else the bits above. */
  readonly states: Uint8Array
  /** Timestamps from `baseMs` on; what is more than 24 days away counts as 24 days. */
  readonly deltasMs: Int32Array
  readonly baseMs: number
}

/** One input and what was published for it. */
export interface AuditedInput {
  readonly offset: number
  /** Exact within 24 days of its neighbours. */
  readonly timestampMs: number
  readonly scored: boolean
  readonly deadLettered: boolean
  readonly repeated: boolean
}

/** The inputs of one partition with what was published for each: five bytes an offset, in chunks that have inputs. */
export class AuditedOffsets {
  readonly #chunks = new Map<number, Chunk>()

  /** An input that was read at its offset. */
  add(offset: number, timestampMs: number): void {
    const number = Math.floor(offset / chunkOffsets)
    let chunk = this.#chunks.get(number)
    if (chunk === undefined) {
      const deltasMs = new Int32Array(chunkOffsets)
      chunk = { states: new Uint8Array(chunkOffsets), deltasMs, baseMs: timestampMs }
      this.#chunks.set(number, chunk)
    }
    const place = offset % chunkOffsets
    chunk.states[place] = bits.input
    chunk.deltasMs[place] = deltaOf(chunk, timestampMs)
  }

  /**
   * Notes an outcome. `repeated`: the input has one already. `no input`: there is none at the offset, or with
   * another timestamp than the outcome names.
   */
  note(kind: OutcomeKind, offset: number, timestampMs?: number): 'first' | 'repeated' | 'no input' {
    const chunk = this.#chunks.get(Math.floor(offset / chunkOffsets))
    const place = offset % chunkOffsets
    const state = chunk?.states[place] ?? 0
    if (chunk === undefined || state === 0) return 'no input'
    if (timestampMs !== undefined && chunk.deltasMs[place] !== deltaOf(chunk, timestampMs)) return 'no input'
    const again = (state & (bits.score | bits.deadLetter)) !== 0
    chunk.states[place] = state | bits[kind] | (again ? bits.repeated : 0)
    return again ? 'repeated' : 'first'
  }

  /** In offset order. */
  *inputs(): Generator<AuditedInput, void, undefined> {
    for (const number of [...this.#chunks.keys()].sort((a, b) => a - b)) {
      const chunk = this.#chunks.get(number)
      if (chunk === undefined) continue
      for (let place = 0; place < chunkOffsets; place++) {
        const state = chunk.states[place] ?? 0
        if (state === 0) continue
        yield {
          offset: number * chunkOffsets + place,
          timestampMs: chunk.baseMs + (chunk.deltasMs[place] ?? 0),
          scored: (state & bits.score) !== 0,
          deadLettered: (state & bits.deadLetter) !== 0,
          repeated: (state & bits.repeated) !== 0,
        }
      }
    }
  }
}

const deltaOf = ({ baseMs }: Chunk, timestampMs: number): number =>
  Math.max(-longestDeltaMs, Math.min(longestDeltaMs, timestampMs - baseMs))
