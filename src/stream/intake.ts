import { monotonicMs, sleep } from '../core/clock.ts'
import { asLabelstreamError, type LabelstreamError } from '../core/errors.ts'
import type { DeadLetterStage } from '../formats/dead-letter.ts'
import { notScorable } from './bisection.ts'
import { Lane } from './lane.ts'
import { skipped, type InFlightMessage } from './partition-stream.ts'
import type { DecodedInput, FormatPorts, PipelineMetrics, Scorer, TokenizedWindows } from './ports.ts'

export interface IntakeOptions {
  readonly scorer: Scorer
  readonly decodeInput: FormatPorts['decodeInput']
  readonly metrics: PipelineMetrics
  /** Texts tokenised in one call. */
  readonly chunkTexts: number
  /** Calls to the tokenizer at once. */
  readonly chunksAtOnce: number
  /** Uniform in [0, 1): the jitter of the back-off. */
  readonly random: () => number
}

export interface IntakeEffects {
  /** Whether tokenised windows can be taken in. */
  readonly room: () => boolean
  /** Whether the text is to be scored; if not, its outcome is known now or comes with another message's. */
  readonly toScore: (message: InFlightMessage, text: string) => boolean
  readonly tokenized: (texts: readonly Tokenized[]) => void
  readonly dead: (message: InFlightMessage, stage: DeadLetterStage, error: LabelstreamError) => void
  /** A chunk was finished: outcomes may be known, and room may be there. */
  readonly settled: (messages: readonly InFlightMessage[]) => void
  readonly failed: (error: LabelstreamError) => void
}

export interface Tokenized {
  readonly message: InFlightMessage
  readonly text: TokenizedWindows
}

interface Decoded {
  readonly message: InFlightMessage
  readonly text: string
}

const firstBackOffMs = 200
const longestBackOffMs = 10_000

/** From fetched messages to windows: decodes and tokenises, a chunk at a time, first come first served. */
export class Intake {
  readonly #options: IntakeOptions
  readonly #effects: IntakeEffects
  readonly #lane: Lane<Decoded, readonly TokenizedWindows[]>
  /** Ends back-offs: what they wait for is not wanted any more. */
  #dropping = new AbortController()
  #closed = false
  #queue: InFlightMessage[] = []
  #head = 0
  #decoding = 0

  constructor(options: IntakeOptions, effects: IntakeEffects) {
    this.#options = options
    this.#effects = effects
    const { scorer, metrics } = options
    this.#lane = new Lane(options.chunksAtOnce, {
      run: async (items) => {
        const startedMs = monotonicMs()
        const results = await scorer.tokenizer.tokenize(items.map((item) => item.text))
        metrics.tokenized((monotonicMs() - startedMs) / 1000)
        return results
      },
      probe: () => scorer.tokenizer.tokenize([scorer.knownGoodText]),
      live: (item) => item.message.open,
      done: (items, results) => {
        this.#deliver(items, results)
      },
      condemned: (item, error) => {
        effects.dead(item.message, 'tokenize', notScorable(item.message.source, error))
        effects.settled([item.message])
      },
      retried: (error) => {
        metrics.retried(error.code)
      },
      failed: effects.failed,
      freed: () => {
        this.pump()
        effects.settled([])
      },
    })
  }

  /** Something is queued or at work. */
  get busy(): boolean {
    return this.#head < this.#queue.length || this.working
  }

  /** Something is being decoded or tokenised. */
  get working(): boolean {
    return this.#decoding > 0 || !this.#lane.idle
  }

  add(messages: readonly InFlightMessage[]): void {
    for (const message of messages) this.#queue.push(message)
    this.pump()
  }

  /** Starts as many chunks as there is room for. */
  pump(): void {
    while (
      this.#head < this.#queue.length &&
      this.#decoding === 0 &&
      this.#lane.free &&
      this.#effects.room() &&
      !this.#closed
    ) {
      const chunk = this.#queue.slice(this.#head, this.#head + this.#options.chunkTexts)
      this.#head += chunk.length
      if (this.#head * 2 >= this.#queue.length) {
        this.#queue = this.#queue.slice(this.#head)
        this.#head = 0
      }
      this.#handle(chunk)
    }
  }

  /** Forgets what is queued and not begun, and what waits for a registry. */
  drop(): void {
    this.#queue = []
    this.#head = 0
    this.#dropping.abort()
    this.#dropping = new AbortController()
  }

  close(): void {
    this.#closed = true
    this.drop()
    this.#lane.close()
  }

  /** Decodes at once where no value needs to be waited for: the usual case costs no promise a message. */
  #handle(chunk: readonly InFlightMessage[]): void {
    const decoded: Decoded[] = []
    const late: { message: InFlightMessage; promise: Promise<DecodedInput> }[] = []
    for (const message of chunk) {
      try {
        const result = this.#options.decodeInput(message.source)
        if (result instanceof Promise) late.push({ message, promise: result })
        else accept(decoded, message, result)
      } catch (thrown) {
        const error = asLabelstreamError(thrown)
        if (error.disposition === 'retry') late.push({ message, promise: Promise.reject(error) })
        else this.#refuse(message, error)
      }
    }
    if (late.length === 0) {
      this.#tokenize(chunk, decoded)
      return
    }
    // Promises that reject before they are awaited would count as unhandled.
    for (const { promise } of late) promise.catch(() => undefined)
    this.#decoding++
    void this.#finishLate(late, decoded).then(() => {
      this.#decoding--
      if (this.#closed) return
      this.#tokenize(chunk, decoded)
      this.pump()
    })
  }

  /** Waits for the promises; what failed for infrastructure reasons is decoded again after a pause, for ever. */
  async #finishLate(
    late: readonly { message: InFlightMessage; promise: Promise<DecodedInput> }[],
    decoded: Decoded[],
  ): Promise<void> {
    const { signal } = this.#dropping
    let open = late
    for (let attempt = 0; ; attempt++) {
      const again: InFlightMessage[] = []
      for (const { message, promise } of open) {
        try {
          accept(decoded, message, await promise)
        } catch (thrown) {
          const error = asLabelstreamError(thrown)
          if (error.disposition !== 'retry') this.#refuse(message, error)
          else {
            if (again.length === 0) this.#options.metrics.retried(error.code)
            again.push(message)
          }
        }
      }
      const live = again.filter((message) => message.open)
      if (live.length === 0 || signal.aborted) return
      const ceilingMs = Math.min(longestBackOffMs, firstBackOffMs * 2 ** attempt)
      await sleep(ceilingMs * (0.5 + this.#options.random() / 2), signal)
      if (signal.aborted) return
      open = live.map((message) => {
        const promise = Promise.resolve().then(() => this.#options.decodeInput(message.source))
        promise.catch(() => undefined)
        return { message, promise }
      })
    }
  }

  #refuse(message: InFlightMessage, error: LabelstreamError): void {
    if (error.disposition === 'dead-letter') this.#effects.dead(message, 'input', error)
    else this.#effects.failed(error)
  }

  #tokenize(chunk: readonly InFlightMessage[], decoded: readonly Decoded[]): void {
    const live = decoded.filter(({ message, text }) => message.open && this.#effects.toScore(message, text))
    if (live.length > 0) this.#lane.start(live, 'tokenize')
    if (live.length < chunk.length) this.#effects.settled(chunk)
  }

  #deliver(items: readonly Decoded[], results: readonly TokenizedWindows[]): void {
    const texts: Tokenized[] = []
    for (let index = 0; index < items.length; index++) {
      const message = items[index]?.message
      const text = results[index]
      if (message !== undefined && text !== undefined && message.open) texts.push({ message, text })
    }
    this.#effects.tokenized(texts)
  }
}

function accept(decoded: Decoded[], message: InFlightMessage, result: DecodedInput): void {
  if ('skip' in result) {
    message.outcome = skipped
    return
  }
  message.id = result.id
  decoded.push({ message, text: result.text })
}
