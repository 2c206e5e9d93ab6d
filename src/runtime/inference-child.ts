import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { LabelstreamError } from '../core/errors.ts'
import { siblingModule } from '../core/paths.ts'
import { childEnvironment } from './child-environment.ts'
import type { InferenceAnswer, InferenceRequest, ProcessMemory } from './messages.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogSink = (level: LogLevel, message: string) => void

/** Why a process ended without being asked to. */
export type EndReason = 'crashed' | 'hung'

/** A message that is an answer to a request. */
export type Reply = Exclude<InferenceAnswer, { type: 'failed' }>

interface Pending {
  readonly request: InferenceRequest
  readonly deadlineMs: number
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: LabelstreamError) => void
}

/** Time from `stop` to SIGKILL. A process that computes a batch does not see `stop` before the batch is done. */
const stopMs = 2_000

/** One inference process from start to end, seen from the parent. */
export class InferenceChild {
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>
  readonly #process: ChildProcess
  readonly #pending: Pending[] = []
  #memory: ProcessMemory = { residentBytes: 0, peakBytes: 0 }
  #timer: NodeJS.Timeout | undefined
  #closing = false
  #hung = false
  #gone: LabelstreamError | undefined
  #onEnd: ((reason: EndReason) => void) | undefined

  constructor(log: LogSink) {
    this.#process = fork(siblingModule(import.meta.url, 'inference-process'), [], {
      serialization: 'advanced',
      // our own standard output may be a JSON document that somebody parses
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // the process frees the model's bytes once the session has its own copy; its JavaScript makes little garbage, and a
      // larger nursery would only be memory, 6 MB of it
      execArgv: ['--expose-gc', '--max-semi-space-size=1'],
      env: childEnvironment(),
    })
    forwardLines(this.#process, log)
    this.#process.on('message', (answer: InferenceAnswer) => {
      this.#take(answer)
    })
    this.ended = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#end(how)
        resolve()
      }
      this.#process.once('error', (error) => {
        end(error.message)
      })
      this.#process.once('exit', (exitCode, signal) => {
        end(signal === null ? `exit code ${exitCode}` : signal)
      })
    })
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  get memory(): ProcessMemory {
    return this.#memory
  }

  /**
   * Calls back when the process ends unasked, before anything in flight rejects: who repeats a rejected run at once
   * must find the replacement already on its way. Says false when it is too late for that.
   */
  whenEnded(callback: (reason: EndReason) => void): boolean {
    this.#onEnd = callback
    return this.#gone === undefined
  }

  /**
   * The deadline counts from the moment the process has answered everything before. Rejects with what the process
   * reports, INFERENCE_CRASHED when it ends first, and INFERENCE_HUNG when it was killed for missing a deadline.
   */
  request(request: InferenceRequest, deadlineMs: number): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#gone !== undefined) {
        reject(this.#gone)
        return
      }
      this.#pending.push({ request, deadlineMs, resolve, reject })
      if (this.#pending.length === 1) this.#watch()
      this.#process.send(request, (error) => {
        // the pipe is closed: `exit` follows and rejects what is pending
        if (error !== null) this.#process.kill('SIGKILL')
      })
    })
  }

  /** Ends the process: asked to at first, then killed. What is in flight rejects. */
  async close(): Promise<void> {
    this.#closing = true
    clearTimeout(this.#timer)
    if (this.#process.connected)
      this.#process.send({ type: 'stop' } satisfies InferenceRequest, () => undefined)
    const killer = setTimeout(() => this.#process.kill('SIGKILL'), stopMs)
    await this.ended
    clearTimeout(killer)
  }

  #take(answer: InferenceAnswer): void {
    const pending = this.#pending.shift()
    this.#watch()
    if (answer.type === 'failed') {
      pending?.reject(new LabelstreamError(answer.code, answer.message))
      return
    }
    this.#memory = answer.memory
    pending?.resolve(answer)
  }

  /** Only the oldest request has its time running: those behind it wait for the same process. */
  #watch(): void {
    clearTimeout(this.#timer)
    const [oldest] = this.#pending
    if (oldest === undefined || this.#closing) return
    this.#timer = setTimeout(() => {
      this.#hung = true
      this.#process.kill('SIGKILL')
    }, oldest.deadlineMs)
  }

  #end(how: string): void {
    if (this.#gone !== undefined) return
    clearTimeout(this.#timer)
    const [oldest] = this.#pending
    this.#gone = this.#closing
      ? new LabelstreamError('INFERENCE_CRASHED', 'the inference process is closed')
      : this.#hung
        ? new LabelstreamError(
            'INFERENCE_HUNG',
            `no answer within ${oldest?.deadlineMs ?? 0} ms: process killed`,
          )
        : new LabelstreamError('INFERENCE_CRASHED', `the inference process ended: ${how}`)
    if (!this.#closing) this.#onEnd?.(this.#hung ? 'hung' : 'crashed')
    for (const { reject } of this.#pending.splice(0)) reject(this.#gone)
  }
}

/** What the process or the libraries in it print, a line a message. */
function forwardLines(child: ChildProcess, log: LogSink): void {
  const forward = (stream: NodeJS.ReadableStream | null, level: LogLevel): void => {
    if (stream === null) return
    createInterface({ input: stream }).on('line', (line) => {
      log(level, `inference process: ${line.slice(0, 1_000)}`)
    })
  }
  forward(child.stdout, 'debug')
  forward(child.stderr, 'warn')
}
