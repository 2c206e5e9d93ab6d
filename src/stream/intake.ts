import { sleep } from '../core/clock.ts'
import { asLabelstreamError, type LabelstreamError } from '../core/errors.ts'
import type { DeadLetterStage } from '../formats/dead-letter.ts'
import { skipped, type InFlightMessage } from './partition-stream.ts'
import type { DecodedInput, FormatPorts, PipelineMetrics } from './ports.ts'
import type { DecodedText } from './tokenizing.ts'

export interface IntakeOptions {
  readonly decodeInput: FormatPorts['decodeInput']
  readonly metrics: PipelineMetrics
  /** Texts handed on at once. */
  readonly chunkTexts: number
  /** Uniform in [0, 1): the jitter of the back-off. */
  readonly random: () => number
}

export interface IntakeEffects {
  /** Whether another chunk can be taken in. */
  readonly room: () => boolean
  /** Takes a chunk of texts in and returns how many are to be scored; the others may have their outcome now. */
  readonly decoded: (texts: readonly DecodedText[]) => number
  readonly dead: (message: InFlightMessage, stage: DeadLetterStage, error: LabelstreamError) => void
  /** A chunk was finished: outcomes may be known, and room may be there. */
  readonly settled: (messages: readonly InFlightMessage[]) => void
  readonly failed: (error: LabelstreamError) => void
}

const firstBackOffMs = 200
const longestBackOffMs = 10_000

/** From fetched messages to texts: decodes a chunk at a time, first come first served. */
export class Intake {
  readonly #options: IntakeOptions
  readonly #effects: IntakeEffects
  /** Ends back-offs: what they wait for is not wanted any more. */
  #dropping = new AbortController()
  #closed = false
  #queue: InFlightMessage[] = []
  #head = 0
  #decoding = 0

  constructor(options: IntakeOptions, effects: IntakeEffects) {
    this.#options = options
    this.#effects = effects
  }

  /** Something is queued or at work. */
  get busy(): boolean {
    return this.#head < this.#queue.length || this.working
  }

  /** Something is being decoded. */
  get working(): boolean {
    return this.#decoding > 0
  }

  add(messages: readonly InFlightMessage[]): void {
    for (const message of messages) this.#queue.push(message)
    this.pump()
  }

  /** Starts as many chunks as there is room for. */
  pump(): void {
    while (this.#head < this.#queue.length && this.#decoding === 0 && this.#effects.room() && !this.#closed) {
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
  }

  /** Decodes at once where no value needs to be waited for: the usual case costs no promise a message. */
  #handle(chunk: readonly InFlightMessage[]): void {
    const decoded: DecodedText[] = []
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
      this.#handOn(chunk, decoded)
      return
    }
    // Promises that reject before they are awaited would count as unhandled.
    for (const { promise } of late) promise.catch(() => undefined)
    this.#decoding++
    void this.#finishLate(late, decoded).then(() => {
      this.#decoding--
      if (this.#closed) return
      this.#handOn(chunk, decoded)
      this.pump()
    })
  }

  /** Waits for the promises; what failed for infrastructure reasons is decoded again after a pause, for ever. */
  async #finishLate(
    late: readonly { message: InFlightMessage; promise: Promise<DecodedInput> }[],
    decoded: DecodedText[],
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
            if (again.length === 0) this.#options.metrics.retried(error.code, error.message)
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

  #handOn(chunk: readonly InFlightMessage[], decoded: readonly DecodedText[]): void {
    const live = decoded.filter(({ message }) => message.open)
    const toScore = live.length === 0 ? 0 : this.#effects.decoded(live)
    if (toScore < chunk.length) this.#effects.settled(chunk)
  }
}

function accept(decoded: DecodedText[], message: InFlightMessage, result: DecodedInput): void {
  if ('skip' in result) {
    message.outcome = skipped
    return
  }
  message.id = result.id
  decoded.push({ message, text: result.text })
}
