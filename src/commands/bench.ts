import { join } from 'node:path'
import { packageRoot } from '../core/paths.ts'
import { startLocalKafka } from '../kafka/local-broker.ts'
import type { Settings } from '../settings/catalogue.ts'
import { type RateFigures, askedRates, atRate, perSecondOf, warmUpSeconds } from './bench-rate.ts'
import { benchReport, printBench, type Round } from './bench-report.ts'
import { bareSession } from './bench-session.ts'
import { endToEnd } from './bench-stream.ts'
import { benchTexts, benchTopics, createBenchTopics, loadTexts } from './bench-texts.ts'
import type { CommandSpec } from './command.ts'
import { numberOption, optionalOption } from './output.ts'
import { median } from './percentile.ts'

export const benchCommand: CommandSpec = {
  name: 'bench',
  summary: 'measure texts per second: the bare session at its best, then Kafka to Kafka, in turn',
  options: [
    { flags: '--data <file>', help: 'JSONL with "text" (default: the labelled advice texts)' },
    { flags: '--messages <count>', help: 'texts in one round, taken in a circle (default 4000)' },
    { flags: '--rounds <count>', help: 'rounds; medians are printed (default 3)' },
    {
      flags: '--rate <list>',
      help: 'afterwards send texts at so many a second, or at a percentage of the measured capacity, on a fixed schedule, and measure latencies; several separated by commas',
    },
    {
      flags: '--seconds <count>',
      help: 'how long --rate sends at each rate, after three seconds that are not counted (default 20)',
    },
  ],
  settings: ['model', 'models.', 'batch.', 'text.', 'runtime.', 'stream.', 'kafka.brokers'],
  examples: [
    'labelstream bench --messages 8000 --json',
    'labelstream bench --runtime-precision int8 --rate 100 --seconds 30',
    'labelstream bench --rate 10%,50%,90%',
  ],
  run: async (context, _positional, options) => {
    const file = optionalOption(options, 'data') ?? join(packageRoot, 'examples', 'advice', 'texts.jsonl')
    const whole = { min: 1, max: 10_000_000, integer: true }
    const texts = benchTexts(file, numberOption(options, 'messages', whole) ?? 4_000)
    const rounds = numberOption(options, 'rounds', { min: 1, max: 100, integer: true }) ?? 3
    const asked = optionalOption(options, 'rate')
    const wanted = asked === undefined ? [] : askedRates(asked)
    const seconds = numberOption(options, 'seconds', { min: 1, max: 86_400 }) ?? 20
    const local =
      context.loaded.origins['kafka.brokers'] === 'default'
        ? await startLocalKafka({
            onProgress: (line) => {
              process.stderr.write(`${line}\n`)
            },
          })
        : undefined
    const settingsFor = (part: string): Settings => ({
      ...context.settings,
      ...benchTopics(part),
      ...(local === undefined ? {} : { 'kafka.brokers': local.brokers }),
      'http.port': 0,
      'models.pollMs': 0,
      // texts that are taken in a circle would come from memory
      'stream.cacheEntries': 0,
    })
    try {
      const backlog = settingsFor('backlog')
      await loadTexts(context, backlog, texts)
      const measured: Round[] = []
      for (let round = 0; round < rounds; round++) {
        const session = await bareSession(context, backlog, texts)
        const stream = await endToEnd(context, { ...backlog, group: `${backlog.group}-${round}` })
        measured.push({ session, stream })
      }
      const capacity = median(measured.map(({ stream }) => stream.textsPerSecond))
      const rates: RateFigures[] = []
      for (const one of wanted) {
        const perSecond = perSecondOf(one, capacity)
        const schedule = settingsFor('rate')
        await createBenchTopics(context, schedule)
        const due = benchTexts(file, Math.ceil(perSecond * (warmUpSeconds + seconds)))
        rates.push(await atRate(context, schedule, due, perSecond))
      }
      printBench(context, benchReport(measured, texts.length, rates))
    } finally {
      await local?.stop()
    }
  },
}
