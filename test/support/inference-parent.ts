/** Starts inference, prints its process id, and stays: tests kill it. Argument: a model folder. */
import { Inference } from '../../src/runtime/inference.ts'

const inference = await Inference.start({
  folder: process.argv[2] ?? '',
  output: 'logits',
  provider: 'cpu',
  precision: 'fp32',
  threads: 1,
  deadlineMs: 60_000,
})
process.stdout.write(`${inference.pid}\n`)
