/**
 * Child process that trains a whole encoder. Started by fit-encoder.ts; on SIGTERM it writes a checkpoint and ends.
 * When its parent goes away it ends at once: the same command may be running again and own the checkpoint.
 */
import { asLabelstreamError } from '../core/errors.ts'
import { fitEncoderHere } from './encoder-fit.ts'
import type { FitReply, FitRequest } from './fit-messages.ts'

let isStopped = false

const send = (reply: FitReply): void => {
  if (process.connected) process.send?.(reply)
}

/** Sends the last reply and ends once it is on its way. */
function end(reply: FitReply): void {
  if (!process.connected) process.exit(0)
  process.send?.(reply, () => {
    process.exit(0)
  })
}

process.once('message', (request: FitRequest) => {
  fitEncoderHere(request.job, {
    onProgress: (progress) => {
      send({ kind: 'progress', progress })
    },
    onWarning: (message) => {
      send({ kind: 'warning', message })
    },
    isStopped: () => isStopped,
  }).then(
    (result) => {
      end(result === undefined ? { kind: 'stopped' } : { kind: 'done', result })
    },
    (error: unknown) => {
      const { code, message } = asLabelstreamError(error)
      end({ kind: 'failed', code, message })
    },
  )
})
process.on('disconnect', () => {
  process.exit(1)
})
process.on('SIGTERM', () => {
  isStopped = true
})
// Ctrl-C reaches the whole process group; the parent decides what becomes of training.
process.on('SIGINT', () => undefined)
