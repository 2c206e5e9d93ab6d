/** Entry of the inference process: one session, requests answered in order. */
import { asLabelstreamError } from '../core/errors.ts'
import type { InferenceAnswer, InferenceRequest, ProcessMemory } from './messages.ts'
import { EncoderSession } from './session.ts'

const memory = (): ProcessMemory => ({
  residentBytes: process.memoryUsage.rss(),
  peakBytes: process.resourceUsage().maxRSS * 1024,
})

/** Resolves when the answer is written: computing blocks this thread, and the parent should not wait for that. */
const send = (answer: InferenceAnswer): Promise<void> =>
  new Promise((resolve) => {
    process.send?.(answer, undefined, undefined, () => {
      resolve()
    })
  })

let session: EncoderSession | undefined

async function answerTo(request: InferenceRequest): Promise<InferenceAnswer> {
  switch (request.type) {
    case 'start':
      session = await EncoderSession.open(request.session)
      // the model's bytes, twice its size, are garbage from here on and would stay until the next collection
      globalThis.gc?.()
      return { type: 'started', info: session.info, memory: memory() }
    case 'run':
      return { type: 'result', result: await opened().run(request.windows), memory: memory() }
    case 'measure':
      return { type: 'measured', rate: await opened().measure(request.batches), memory: memory() }
    case 'measureProducts': {
      const rate = await opened().measureProducts(request.rows, request.repetitions)
      return { type: 'measuredProducts', rate, memory: memory() }
    }
    case 'stop':
      process.exit(0)
  }
}

function opened(): EncoderSession {
  if (session === undefined) throw new Error('the session is not started')
  return session
}

async function handle(request: InferenceRequest): Promise<void> {
  let answer: InferenceAnswer
  try {
    answer = await answerTo(request)
  } catch (error) {
    const { code, message } = asLabelstreamError(error)
    answer = { type: 'failed', code, message }
  }
  await send(answer)
}

let last = Promise.resolve()
process.on('message', (request: InferenceRequest) => {
  last = last.then(() => handle(request))
})
// a terminal sends its signals to the whole group; the parent finishes its work first and then ends this process
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)
process.on('disconnect', () => {
  process.exit(0)
})
