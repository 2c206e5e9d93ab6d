import { LabelstreamError } from '../core/errors.ts'
import { auditDelivery } from './audit.ts'
import { auditTable, faultsOf } from './audit-report.ts'
import type { CommandSpec, OptionValues } from './command.ts'
import { numberOption, optionalOption } from './output.ts'

const usualSample = 200
const largestSample = 10_000_000

export const replayCommand: CommandSpec = {
  name: 'replay',
  summary:
    "verify what was published: nothing lost, doubled or out of order, and the scores are the model's own",
  options: [
    {
      flags: '--verify',
      help: 'compare the scores and dead letters with the inputs that the group has committed',
    },
    {
      flags: '--sample <count>',
      help: `inputs whose events are scored again by the model version that they name, or all (default ${usualSample})`,
    },
    {
      flags: '--since <time>',
      help: 'only inputs of that time or later, as in 2026-11-24T10:00:00Z (default: all)',
    },
    { flags: '--seed <number>', help: 'another draw of the sample (default 0)' },
  ],
  settings: [
    'input.',
    'output.topic',
    'deadLetters.topic',
    'group',
    'delivery',
    'model',
    'models.folder',
    'text.',
    'runtime.provider',
    'runtime.threads',
    'runtime.deadlineMs',
    'batch.budgetTokens',
    'registry.',
    'kafka.',
  ],
  examples: [
    'labelstream replay --verify',
    'labelstream replay --verify --since 2026-11-24T00:00:00Z --sample all --json',
  ],
  run: async (context, _positional, options) => {
    if (options.verify !== true) {
      throw new LabelstreamError(
        'USAGE',
        '--verify is missing: replay compares what was published with the inputs and writes nothing; `labelstream dlq replay` puts dead letters back',
      )
    }
    const report = await auditDelivery(context, {
      sample: sampleOption(options),
      sinceMs: sinceOption(options),
      seed: numberOption(options, 'seed', { min: 0, max: 2 ** 32 - 1, integer: true }) ?? 0,
    })
    context.printJson(report)
    context.print(auditTable(report))
    const faults = faultsOf(report)
    if (faults.length > 0) throw new LabelstreamError('AUDIT_FAILED', faults.join('; '))
    context.print('everything holds')
  },
}

function sampleOption(options: OptionValues): number {
  if (optionalOption(options, 'sample') === 'all') return Infinity
  return numberOption(options, 'sample', { min: 0, max: largestSample, integer: true }) ?? usualSample
}

function sinceOption(options: OptionValues): number | undefined {
  const text = optionalOption(options, 'since')
  if (text === undefined) return undefined
  const time = /^\d{4}-\d\d-\d\d([T ].*)?$/.test(text) ? Date.parse(text) : NaN
  if (!Number.isNaN(time)) return time
  throw new LabelstreamError('USAGE', `--since: ${text} is not a time such as 2026-11-24T10:00:00Z`)
}
