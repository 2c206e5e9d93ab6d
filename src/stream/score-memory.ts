import { sha256 } from '../core/digest.ts'
import type { InFlightMessage } from './partition-stream.ts'

/** What scoring a text gave, before the decision. */
export interface RememberedScores {
  readonly logits: Float32Array
  readonly tokens: number
  readonly windows: number
  readonly truncated: boolean
}

interface InFlightText {
  readonly key: string
  /** Messages with the same text that came while it was being scored. */
  readonly followers: InFlightMessage[]
}

/**
 * Scores of texts seen lately, so that an identical text is scored once: at once when its scores are known, or
 * together with the one in flight. A text scored by one model says nothing of its scores by another. Holds digests
 * of texts, never texts, and the latest `entries` of them.
 */
export class ScoreMemory {
  readonly #entries: number
  /** The least lately used first. */
  readonly #known = new Map<string, RememberedScores>()
  readonly #inFlight = new Map<string, InFlightText>()
  readonly #leaders = new Map<InFlightMessage, InFlightText>()

  /** `entries` 0 remembers nothing: every text is scored by itself. */
  constructor(entries: number) {
    this.#entries = entries
  }

  /** Texts whose scores are known. */
  get size(): number {
    return this.#known.size
  }

  /**
   * Asked once for each message that has a text. `scoredBy` names all that its logits depend on but the text.
   * `score`: it is to be scored, and `scored` or `lost` must be told; `follow`: one of those two will hand the
   * message out; `known`: its logits and counts are set.
   */
  admit(message: InFlightMessage, text: string, scoredBy: string): 'score' | 'follow' | 'known' {
    if (this.#entries === 0) return 'score'
    const key = sha256(`${scoredBy}\0${text}`)
    const scores = this.#known.get(key)
    if (scores !== undefined) {
      this.#known.delete(key)
      this.#known.set(key, scores)
      recall(message, scores)
      return 'known'
    }
    const flight = this.#inFlight.get(key)
    if (flight !== undefined) {
      flight.followers.push(message)
      return 'follow'
    }
    const leading = { key, followers: [] }
    this.#inFlight.set(key, leading)
    this.#leaders.set(message, leading)
    return 'score'
  }

  /** The message's logits are known. Returns those that waited for them, with theirs set. */
  scored(message: InFlightMessage): readonly InFlightMessage[] {
    const flight = this.#land(message)
    if (flight === undefined || message.logits === undefined) return []
    const { tokens, windows, truncated } = message
    // a copy: the logits are a view of the whole batch's
    const scores = { logits: message.logits.slice(), tokens, windows, truncated }
    this.#known.set(flight.key, scores)
    const [oldest] = this.#known.keys()
    if (this.#known.size > this.#entries && oldest !== undefined) this.#known.delete(oldest)
    const followers = flight.followers.filter((follower) => follower.open)
    for (const follower of followers) recall(follower, scores)
    return followers
  }

  /** The message will have no scores. Returns those that waited for them: each is to be admitted anew. */
  lost(message: InFlightMessage): readonly InFlightMessage[] {
    return this.#land(message)?.followers.filter((follower) => follower.open) ?? []
  }

  /** Forgets who is in flight and who waits: the epoch ended, and what it had in hand is read again. */
  dropInFlight(): void {
    this.#inFlight.clear()
    this.#leaders.clear()
  }

  #land(message: InFlightMessage): InFlightText | undefined {
    const flight = this.#leaders.get(message)
    if (flight === undefined) return undefined
    this.#leaders.delete(message)
    this.#inFlight.delete(flight.key)
    return flight
  }
}

function recall(message: InFlightMessage, { logits, tokens, windows, truncated }: RememberedScores): void {
  message.logits = logits
  message.tokens = tokens
  message.windows = windows
  message.windowsLeft = 0
  message.truncated = truncated
}
