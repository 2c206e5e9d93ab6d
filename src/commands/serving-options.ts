import { join } from 'node:path'
import type { Settings } from '../settings/catalogue.ts'
import type { ServingOptions } from '../stream/serving.ts'
import type { Logger } from '../telemetry/log.ts'
import { runnerOptionsOf } from './runner-options.ts'

/** How the settings want a model served. */
export function servingOptionsOf(settings: Settings, log: Logger): ServingOptions {
  return {
    ...runnerOptionsOf(settings, log),
    maxTokens: settings['text.maxTokens'],
    graphFolder: join('.labelstream', 'cache', 'graphs'),
  }
}
