import { LabelstreamError } from '../core/errors.ts'
import type { CommandContext, CommandSpec } from './command.ts'
import { Stream } from './stream.ts'

export const runCommand: CommandSpec = {
  name: 'run',
  summary: 'score the texts of the input topic until told to stop',
  options: [
    { flags: '--until-end', help: 'stop when everything up to the end offsets of now is done, print totals' },
  ],
  settings: [
    'input.',
    'output.',
    'deadLetters.',
    'group',
    'model',
    'models.',
    'delivery',
    'exactlyOnce.',
    'batch.',
    'text.',
    'runtime.',
    'stream.',
    'registry.',
    'http.',
    'log.',
    'kafka.',
  ],
  examples: [
    'labelstream run --kafka-brokers kafka:9092 --model advice',
    'labelstream run --until-end --json',
  ],
  run: async (context, _positional, options) => {
    const stream = await Stream.start(context.settings, context.log)
    context.log.info('running', { metrics: stream.metricsUrl, group: context.settings.group })
    const ended = options.untilEnd === true ? stream.untilEnd() : stream.finished
    const interrupted = await Promise.race([
      ended.then(() => false),
      aborted(context.interrupted).then(() => true),
    ]).catch(async (error: unknown) => {
      await stream.stop().catch(() => undefined)
      throw error
    })
    await stream.stop()
    printTotals(context, stream)
    // a service that is told to stop and does so in order has done its job
    if (interrupted && (options.untilEnd === true || context.interrupted.reason === 'SIGINT')) {
      throw new LabelstreamError('INTERRUPTED', 'stopped before the end; what was finished is committed')
    }
  },
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    signal.addEventListener(
      'abort',
      () => {
        resolve()
      },
      { once: true },
    )
  })
}

function printTotals(context: CommandContext, stream: Stream): void {
  const { consumed, scored, deadLettered, skipped, paddedTokens, realTokens, firstFetchMs, lastAckMs } =
    stream.totals
  const seconds =
    firstFetchMs === undefined || lastAckMs === undefined ? 0 : (lastAckMs - firstFetchMs) / 1000
  const textsPerSecond = seconds === 0 ? 0 : scored / seconds
  const { name, version, digest } = stream.serving.model
  context.printJson({
    consumed,
    scored,
    deadLettered,
    skipped,
    seconds,
    textsPerSecond,
    paddedTokens,
    realTokens,
    peakMemoryBytes: stream.peakMemoryBytes,
    model: { name, version, digest, ...stream.serving.inference.info },
    metricsUrl: stream.metricsUrl,
  })
  context.print(
    `consumed ${consumed}, scored ${scored}, dead letters ${deadLettered}, skipped ${skipped} in ${seconds.toFixed(1)} s (${textsPerSecond.toFixed(0)} texts/s)`,
  )
}
