import type { TextRunnerOptions } from '../models/text-runner.ts'
import { defaultBudgetTokens } from '../stream/batch-budget.ts'
import type { Settings } from '../settings/catalogue.ts'
import type { Logger } from '../telemetry/log.ts'

/** Settings of one inference process, for commands that have no more. */
export const oneProcessSettings = [
  'runtime.provider',
  'runtime.precision',
  'runtime.graph',
  'runtime.threads',
  'runtime.deadlineMs',
] as const

/** Settings of commands that read labelled texts and send them through an encoder. */
export const labelledTextSettings = [
  'models.folder',
  'labels.absent',
  'text.maxTokens',
  ...oneProcessSettings,
  'batch.budgetTokens',
  'kafka.',
] as const

/** How the settings want texts to go through an encoder. */
export function runnerOptionsOf(settings: Settings, log: Logger): TextRunnerOptions {
  return {
    provider: settings['runtime.provider'],
    precision: settings['runtime.precision'],
    graph: settings['runtime.graph'],
    threads: settings['runtime.threads'],
    deadlineMs: settings['runtime.deadlineMs'],
    tokenizerThreads: settings['text.threads'],
    budgetTokens: settings['batch.budgetTokens'] || defaultBudgetTokens,
    maxWindows: settings['text.maxWindows'],
    strideTokens: settings['text.strideTokens'],
    onLog: (level, message) => {
      log[level](message)
    },
  }
}
