import { join } from 'node:path'
import type { Model } from '../models/folder.ts'
import { planProcesses } from '../runtime/process-plan.ts'
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

/** The same for a stream, whose batches go to several processes. */
export function streamServingOptionsOf(
  settings: Settings,
  log: Logger,
  { manifest }: Model,
): ServingOptions & { readonly processes: number } {
  const plan = planProcesses({
    processes: settings['runtime.processes'],
    threads: settings['runtime.threads'],
    provider: settings['runtime.provider'],
    weightsBytes: manifest.files['model.safetensors']?.sizeBytes ?? 0,
  })
  return { ...servingOptionsOf(settings, log), ...plan }
}
