import { asLabelstreamError, LabelstreamError } from '../core/errors.ts'
import { activationRangesFile } from '../encoders/activation-ranges.ts'
import type { Position } from '../formats/message.ts'
import type { LabelScores } from '../formats/scores.ts'
import { type Contradiction, compareScores, type Rescored, scoreBound } from './score-comparison.ts'
import type { Serving } from './serving.ts'

/** An event and its input, decoded as `run` does; undefined where it cannot be decoded. */
export interface EventOfInput {
  readonly event: LabelScores
  readonly input: { readonly id: string; readonly text: string } | undefined
}

/** A version that events name and that cannot be had. */
export interface MissingModel {
  readonly name: string
  readonly version: string
  readonly precision: string
  readonly events: number
  readonly why: string
}

export interface RescoringFindings {
  readonly rescored: number
  readonly differing: number
  /** Between a score of an event and the one computed now, 0..1. */
  readonly largestDifference: number
  /** Events that were to be scored again, and whose version cannot be had. */
  readonly modelMissing: number
  readonly models: readonly MissingModel[]
  readonly examples: readonly (Position & {
    readonly difference: number
    readonly contradiction: Contradiction
  })[]
}

export interface RescorerOptions {
  /**
   * Starts the version that an event names, with its digest and in its precision. Throws MODEL_NOT_FOUND,
   * MODEL_CORRUPT, MODEL_UNSUPPORTED or SETTING_INVALID when it cannot be had here.
   */
  readonly start: (model: LabelScores['model']) => Promise<Serving>
  readonly examples: number
}

interface Missing {
  readonly why: string
  events: number
}

/** Versions at work at a time: while another one is promoted, events of both come in turn. */
const mostServings = 2

/** Scores the texts of events again, by the versions that the events name, and compares. */
export class Rescorer {
  readonly #options: RescorerOptions
  /** The least lately used first. */
  readonly #servings = new Map<string, Serving>()
  readonly #missing = new Map<string, Missing & { readonly model: LabelScores['model'] }>()
  readonly #examples: RescoringFindings['examples'][number][] = []
  #rescored = 0
  #differing = 0
  #largestDifference = 0

  constructor(options: RescorerOptions) {
    this.#options = options
  }

  /** Texts of one call share batches. Throws what `start` and `Serving.score` throw for other reasons than a model. */
  async rescore(events: readonly EventOfInput[]): Promise<void> {
    const byModel = new Map<string, EventOfInput[]>()
    for (const one of events) {
      const key = keyOf(one.event.model)
      const same = byModel.get(key)
      if (same === undefined) byModel.set(key, [one])
      else same.push(one)
    }
    for (const same of byModel.values()) await this.#rescoreByOne(same)
  }

  findings(): RescoringFindings {
    const models = [...this.#missing.values()].map(
      ({ model: { name, version, precision }, events, why }) => ({
        ...{ name, version, precision, events, why },
      }),
    )
    return {
      rescored: this.#rescored,
      differing: this.#differing,
      largestDifference: this.#largestDifference,
      modelMissing: models.reduce((sum, { events }) => sum + events, 0),
      models,
      examples: this.#examples,
    }
  }

  async close(): Promise<void> {
    for (const serving of this.#servings.values()) await serving.close()
    this.#servings.clear()
  }

  async #rescoreByOne(events: readonly EventOfInput[]): Promise<void> {
    const model = events[0]?.event.model
    if (model === undefined) return
    const serving = await this.#servingOf(model, events.length)
    if (serving === undefined) return
    const bound = scoreBound(model.precision, Object.hasOwn(serving.model.fileDigests, activationRangesFile))
    const texts = events.flatMap(({ input }) => (input === undefined ? [] : [input.text]))
    const scored = texts.length === 0 ? [] : await rescoredTexts(serving, texts)
    let next = 0
    for (const { event, input } of events) {
      this.#rescored++
      if (input === undefined) {
        this.#differs(event, 1, 'input')
        continue
      }
      const text = scored[next++]
      if (text === undefined) continue
      const again = { id: input.id, ...text }
      const { difference, contradiction } = compareScores(event, again, serving.decision, bound ?? 0)
      this.#largestDifference = Math.max(this.#largestDifference, difference)
      if (contradiction !== undefined) this.#differs(event, difference, contradiction)
    }
  }

  #differs({ source }: LabelScores, difference: number, contradiction: Contradiction): void {
    this.#differing++
    if (this.#examples.length >= this.#options.examples) return
    const { topic, partition, offset } = source
    this.#examples.push({ topic, partition, offset, difference, contradiction })
  }

  /** undefined, and the events are counted, where the version cannot be had. */
  async #servingOf(model: LabelScores['model'], events: number): Promise<Serving | undefined> {
    const key = keyOf(model)
    const missing = this.#missing.get(key)
    if (missing !== undefined) {
      missing.events += events
      return undefined
    }
    const kept = this.#servings.get(key)
    if (kept !== undefined) {
      this.#servings.delete(key)
      this.#servings.set(key, kept)
      return kept
    }
    await this.#makeRoom()
    try {
      if (scoreBound(model.precision, false) === undefined) {
        throw new LabelstreamError('MODEL_UNSUPPORTED', 'its precision is none that this program has')
      }
      const serving = await this.#options.start(model)
      this.#servings.set(key, serving)
      return serving
    } catch (thrown) {
      const error = asLabelstreamError(thrown)
      if (error.disposition !== 'refuse') throw error
      this.#missing.set(key, { model, events, why: error.message })
      return undefined
    }
  }

  async #makeRoom(): Promise<void> {
    for (const [key, serving] of this.#servings) {
      if (this.#servings.size < mostServings) return
      this.#servings.delete(key)
      await serving.close()
    }
  }
}

const keyOf = ({ name, version, digest, precision }: LabelScores['model']): string =>
  JSON.stringify([name, version, digest, precision])

async function rescoredTexts(serving: Serving, texts: readonly string[]): Promise<Omit<Rescored, 'id'>[]> {
  const scored = await serving.score(texts)
  const tokenized = await serving.scorer.tokenizer.tokenize(texts)
  return scored.map(({ scores }, row) => {
    const { windows = [], tokens = 0, truncated = false } = tokenized[row] ?? {}
    return { scores, tokens, truncated, windows: windows.length }
  })
}
