import { Worker } from 'node:worker_threads'
import { LabelstreamError } from '../core/errors.ts'
import { siblingModule } from '../core/paths.ts'
import type { TokenizeRequest, TokenizerAnswer, TokenizerWorkerData } from './messages.ts'
import { unpackTexts } from './packing.ts'
import type { TokenizedText } from './windows.ts'

interface Pending {
  readonly texts: number
  readonly resolve: (texts: TokenizedText[]) => void
  readonly reject: (error: LabelstreamError) => void
}

/** A vocabulary takes about 30 MB. A thread that needs more than this ends alone, without a limit the program would. */
const maxHeapMb = 256
/** What a batch of texts leaves behind is garbage at once: a larger nursery would only be memory, 10 MB of it. */
const maxNurseryMb = 8

/** One tokenising thread from start to end. When it ends, everything it had not answered rejects. */
export class TokenizerThread {
  /** Resolves when the tokenizer is loaded; rejects when it cannot be. */
  readonly ready: Promise<void>
  readonly #worker: Worker
  readonly #pending: Pending[] = []
  #started: { resolve: () => void; reject: (error: LabelstreamError) => void } | undefined
  #ended: LabelstreamError | undefined
  #outstandingTexts = 0

  constructor(data: TokenizerWorkerData) {
    this.#worker = new Worker(siblingModule(import.meta.url, 'tokenizer-worker'), {
      workerData: data,
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb, maxYoungGenerationSizeMb: maxNurseryMb },
    })
    this.ready = new Promise((resolve, reject) => {
      this.#started = { resolve, reject }
    })
    // whoever waits for the start sees the rejection; nobody may wait, as when a thread is replaced
    this.ready.catch(() => undefined)
    this.#worker.on('message', (message: TokenizerAnswer) => {
      this.#take(message)
    })
    this.#worker.on('error', (error) => {
      this.#end(`a tokenising thread failed: ${error.name}`)
    })
    this.#worker.on('exit', (exitCode) => {
      this.#end(`a tokenising thread ended with exit code ${exitCode}`)
    })
  }

  get ended(): boolean {
    return this.#ended !== undefined
  }

  get outstandingTexts(): number {
    return this.#outstandingTexts
  }

  /** One result a text, in order. Rejects with TOKENIZER_FAILED when the thread ends before it answers. */
  tokenize(texts: readonly string[]): Promise<TokenizedText[]> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended)
        return
      }
      this.#outstandingTexts += texts.length
      this.#pending.push({ texts: texts.length, resolve, reject })
      this.#worker.postMessage({ texts } satisfies TokenizeRequest)
    })
  }

  async close(): Promise<void> {
    this.#end('the tokenizer is closed')
    await this.#worker.terminate()
  }

  #take(message: TokenizerAnswer): void {
    switch (message.type) {
      case 'ready':
        this.#started?.resolve()
        this.#started = undefined
        return
      case 'tokenized':
        this.#settle()?.resolve(unpackTexts(message.packed))
        return
      case 'failed': {
        const error = new LabelstreamError(message.code, message.message)
        if (this.#started === undefined) this.#settle()?.reject(error)
        else this.#endWith(error)
      }
    }
  }

  #settle(): Pending | undefined {
    const pending = this.#pending.shift()
    this.#outstandingTexts -= pending?.texts ?? 0
    return pending
  }

  #end(what: string): void {
    this.#endWith(new LabelstreamError('TOKENIZER_FAILED', what))
  }

  #endWith(error: LabelstreamError): void {
    this.#ended ??= error
    this.#started?.reject(this.#ended)
    this.#started = undefined
    for (let pending = this.#settle(); pending !== undefined; pending = this.#settle())
      pending.reject(this.#ended)
  }
}
