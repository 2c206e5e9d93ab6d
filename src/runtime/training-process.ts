/**
 * Child process that trains: it holds parameters and optimiser moments and steps them in ONNX Runtime.
 * Started by training.ts; ends when its parent goes away.
 */
import * as ort from 'onnxruntime-node'
import { messageOf } from '../core/errors.ts'
import type { FloatArray, FloatArrays, TrainingReply, TrainingRequest } from './training-messages.ts'

/** Suffix of the step graph's outputs that replace the state input of the same name. */
const nextSuffix = ':next'

interface Sessions {
  readonly step: ort.InferenceSession
  readonly forward: ort.InferenceSession
  readonly state: Map<string, ort.Tensor>
}

let sessions: Sessions | undefined

async function answer(request: TrainingRequest): Promise<TrainingReply> {
  if (request.kind === 'start') {
    sessions = await start(request)
    return { kind: 'started' }
  }
  if (sessions === undefined) return { kind: 'failed', message: 'training was not started' }
  switch (request.kind) {
    case 'steps':
      return { kind: 'losses', losses: await runSteps(sessions, request.batches) }
    case 'forward':
      return { kind: 'result', result: await runForward(sessions, request.feeds) }
    case 'state':
      return {
        kind: 'state',
        state: Object.fromEntries(request.names.map((name) => [name, stateOf(sessions, name)])),
        peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
      }
  }
}

async function start(request: Extract<TrainingRequest, { kind: 'start' }>): Promise<Sessions> {
  const options: ort.InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    intraOpNumThreads: request.threads,
    logSeverityLevel: 3,
  }
  return {
    step: await ort.InferenceSession.create(request.step, options),
    forward: await ort.InferenceSession.create(request.forward, options),
    state: new Map(Object.entries(tensorsOf(request.state))),
  }
}

async function runSteps({ step, state }: Sessions, batches: readonly FloatArrays[]): Promise<Float32Array> {
  const losses = new Float32Array(batches.length)
  for (const [index, batch] of batches.entries()) {
    const results = await step.run({ ...Object.fromEntries(state), ...tensorsOf(batch) })
    for (const [name, tensor] of Object.entries(results)) {
      if (name.endsWith(nextSuffix)) state.set(name.slice(0, -nextSuffix.length), tensor)
    }
    losses[index] = floatsOf(results['loss']).values[0] ?? NaN
  }
  return losses
}

async function runForward({ forward, state }: Sessions, feeds: FloatArrays): Promise<FloatArray> {
  const wanted = [...state].filter(([name]) => forward.inputNames.includes(name))
  const results = await forward.run({ ...Object.fromEntries(wanted), ...tensorsOf(feeds) })
  return floatsOf(results[forward.outputNames[0] ?? ''])
}

const stateOf = (held: Sessions | undefined, name: string): FloatArray => floatsOf(held?.state.get(name))

const tensorsOf = (arrays: FloatArrays): Record<string, ort.Tensor> =>
  Object.fromEntries(
    Object.entries(arrays).map(([name, { shape, values }]) => [
      name,
      new ort.Tensor('float32', values, shape),
    ]),
  )

function floatsOf(tensor: ort.Tensor | undefined): FloatArray {
  if (tensor?.data instanceof Float32Array) return { shape: tensor.dims, values: tensor.data }
  throw new Error('the training graph has no such float32 tensor')
}

// One request at a time: the state that a step leaves is what the next one starts from.
let queue: Promise<void> = Promise.resolve()
process.on('message', (request: TrainingRequest) => {
  queue = queue.then(async () => {
    const reply = await answer(request).catch((error: unknown): TrainingReply => ({
      kind: 'failed',
      message: messageOf(error),
    }))
    process.send?.(reply)
  })
})
process.on('disconnect', () => {
  process.exit(0)
})
// Ctrl-C reaches the whole process group; the parent decides what becomes of training.
process.on('SIGINT', () => undefined)
