import { fork } from 'node:child_process'
import { LabelstreamError } from '../core/errors.ts'
import { siblingModule } from '../core/paths.ts'
import { childEnvironment } from '../runtime/child-environment.ts'
import type { FitJob, FitProgress, FitResult } from './fit-messages.ts'
import type { FitReply, FitRequest } from './fit-messages.ts'

export interface FitEncoderHooks {
  readonly onProgress?: (progress: FitProgress) => void
  readonly onWarning?: (message: string) => void
  readonly signal?: AbortSignal
}

/** A stopped training has this long to write its checkpoint. */
const graceMs = 60_000

/**
 * Trains a whole encoder in a process of its own, from its checkpoint where it has one. When the signal aborts,
 * the process writes a checkpoint first. Throws TRAINING_FAILED, and INTERRUPTED.
 */
export async function fitEncoder(job: FitJob, hooks: FitEncoderHooks = {}): Promise<FitResult> {
  const { onProgress, onWarning, signal } = hooks
  const child = fork(siblingModule(import.meta.url, 'fit-process'), [], {
    serialization: 'advanced',
    execArgv: [],
    env: childEnvironment(),
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  let grace: NodeJS.Timeout | undefined
  const stop = (): void => {
    child.kill('SIGTERM')
    grace = setTimeout(() => child.kill('SIGKILL'), graceMs)
  }
  try {
    return await new Promise((resolve, reject) => {
      let reply: FitReply | undefined
      child.on('message', (message: FitReply) => {
        if (message.kind === 'progress') onProgress?.(message.progress)
        else if (message.kind === 'warning') onWarning?.(message.message)
        else reply = message
      })
      child.on('error', (error) => {
        reject(new LabelstreamError('TRAINING_FAILED', `the training process: ${error.message}`))
      })
      child.on('exit', (code, signalName) => {
        if (reply?.kind === 'done') resolve(reply.result)
        else reject(failureOf(reply, signalName ?? `exit code ${code}`))
      })
      if (signal?.aborted === true) stop()
      signal?.addEventListener('abort', stop, { once: true })
      child.send({ kind: 'fit', job } satisfies FitRequest)
    })
  } finally {
    clearTimeout(grace)
    signal?.removeEventListener('abort', stop)
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  }
}

function failureOf(reply: FitReply | undefined, ending: string): LabelstreamError {
  if (reply?.kind === 'stopped') {
    return new LabelstreamError(
      'INTERRUPTED',
      'training was interrupted; the same command goes on from its checkpoint',
    )
  }
  if (reply?.kind === 'failed') return new LabelstreamError(reply.code, reply.message)
  return new LabelstreamError(
    'TRAINING_FAILED',
    `the training process ended with ${ending}; the same command goes on from its last checkpoint`,
  )
}
