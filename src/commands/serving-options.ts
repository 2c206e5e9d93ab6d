import type { Settings } from '../settings/catalogue.ts'
import type { ServingOptions } from '../stream/serving.ts'
import type { Logger } from '../telemetry/log.ts'

/** How the settings want a model served. */
export function servingOptionsOf(settings: Settings, log: Logger): ServingOptions {
  return {
    provider: settings['runtime.provider'],
    precision: settings['runtime.precision'],
    threads: settings['runtime.threads'],
    deadlineMs: settings['runtime.deadlineMs'],
    maxTokens: settings['text.maxTokens'],
    maxWindows: settings['text.maxWindows'],
    strideTokens: settings['text.strideTokens'],
    tokenizerThreads: settings['text.threads'],
    budgetTokens: settings['batch.budgetTokens'],
    onLog: (level, message) => {
      log[level](message)
    },
  }
}
