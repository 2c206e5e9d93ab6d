import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { LabelstreamError } from '../core/errors.ts'
import { siblingModule } from '../core/paths.ts'
import { childEnvironment } from './child-environment.ts'
import type { FloatArray, FloatArrays, TrainingReply, TrainingRequest } from './training-messages.ts'

export interface TrainingOptions {
  /**
   * ONNX file of one optimiser step. Inputs: every state array by name and the batch's arrays; outputs: `loss`
   * (one number) and `NAME:next` for every state array NAME.
   */
  readonly step: Uint8Array
  /** ONNX file of the forward pass: some of the state and the feeds to one output. */
  readonly forward: Uint8Array
  /** Parameters and optimiser moments to start from. */
  readonly state: FloatArrays
  /** Threads of ONNX Runtime; 0 takes every core. */
  readonly threads: number
}

interface Pending {
  readonly resolve: (reply: TrainingReply) => void
  readonly reject: (error: LabelstreamError) => void
}

/** A training process: parameters and moments stay there, batches go in, losses come out. */
export class Training {
  readonly #child: ChildProcess
  readonly #pending: Pending[] = []
  #ended: LabelstreamError | undefined

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', (reply: TrainingReply) => {
      const pending = this.#pending.shift()
      if (reply.kind === 'failed') pending?.reject(new LabelstreamError('TRAINING_FAILED', reply.message))
      else pending?.resolve(reply)
    })
    child.on('error', (error) => {
      this.#end(`the training process cannot be used: ${error.message}`)
    })
    child.on('exit', (code, signal) => {
      this.#end(`the training process ended with ${signal ?? `exit code ${code}`}`)
    })
  }

  /** Starts the process and loads both graphs. Throws TRAINING_FAILED. */
  static async start(options: TrainingOptions): Promise<Training> {
    const child = fork(siblingModule(import.meta.url, 'training-process'), [], {
      serialization: 'advanced',
      execArgv: [],
      env: childEnvironment(),
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const training = new Training(child)
    try {
      await training.#ask({ kind: 'start', ...options }, 'started')
    } catch (error) {
      await training.close()
      throw error
    }
    return training
  }

  /** One optimiser step a batch, in order; the loss of each. Throws TRAINING_FAILED. */
  async steps(batches: readonly FloatArrays[]): Promise<Float32Array> {
    return (await this.#ask({ kind: 'steps', batches }, 'losses')).losses
  }

  /** The forward graph's output under the present parameters. Throws TRAINING_FAILED. */
  async forward(feeds: FloatArrays): Promise<FloatArray> {
    return (await this.#ask({ kind: 'forward', feeds }, 'result')).result
  }

  /** Copies of state arrays, and the most memory the process has used. Throws TRAINING_FAILED. */
  async state(names: readonly string[]): Promise<{ arrays: FloatArrays; peakMemoryBytes: number }> {
    const { state, peakMemoryBytes } = await this.#ask({ kind: 'state', names }, 'state')
    return { arrays: state, peakMemoryBytes }
  }

  /** Ends the process; what was asked and not answered fails. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }

  #ask<Kind extends TrainingReply['kind']>(
    request: TrainingRequest,
    expected: Kind,
  ): Promise<Extract<TrainingReply, { kind: Kind }>> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended)
        return
      }
      this.#pending.push({
        reject,
        resolve: (reply) => {
          if (reply.kind === expected) resolve(reply as Extract<TrainingReply, { kind: Kind }>)
          else
            reject(new LabelstreamError('INTERNAL', `training answered ${reply.kind} instead of ${expected}`))
        },
      })
      this.#child.send(request)
    })
  }

  #end(message: string): void {
    this.#ended ??= new LabelstreamError('TRAINING_FAILED', message)
    for (const pending of this.#pending.splice(0)) pending.reject(this.#ended)
  }
}
