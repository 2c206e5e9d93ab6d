/** Entry of a tokenising thread. */
import { parentPort, workerData } from 'node:worker_threads'
import { asLabelstreamError, LabelstreamError } from '../core/errors.ts'
import type { TokenizeRequest, TokenizerAnswer, TokenizerWorkerData } from './messages.ts'
import { packTexts } from './packing.ts'
import { loadTokenizer } from './tokenizer.ts'
import { checkWindowLimits, cutWindows } from './windows.ts'

if (parentPort === null)
  throw new LabelstreamError('INTERNAL', 'tokenizer-worker runs in a worker thread only')
const port = parentPort
const answer = (message: TokenizerAnswer, transfer: readonly ArrayBuffer[] = []): void => {
  port.postMessage(message, transfer)
}
const fail = (error: unknown): void => {
  const { code, message } = asLabelstreamError(error)
  answer({ type: 'failed', code, message })
}

try {
  const data = workerData as TokenizerWorkerData
  const tokenizer = await loadTokenizer(data.folder, data.expectedDigests)
  checkWindowLimits(data, tokenizer.special)
  answer({ type: 'ready' })
  port.on('message', ({ texts }: TokenizeRequest) => {
    try {
      const packed = packTexts(
        texts.map((text) => cutWindows(tokenizer.encode(text), data, tokenizer.special)),
      )
      answer({ type: 'tokenized', packed }, [packed.buffer])
    } catch {
      // the library's own message may quote the text
      answer({
        type: 'failed',
        code: 'TOKENIZER_FAILED',
        message: 'the tokenizer failed on a batch of texts',
      })
    }
  })
} catch (error) {
  fail(error)
}
