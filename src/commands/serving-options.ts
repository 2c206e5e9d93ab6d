import { join } from 'node:path'
import type { Model } from '../models/folder.ts'
import { autoPrecisionOnCpu } from '../models/served-precision.ts'
import { InferencePool } from '../runtime/inference-pool.ts'
import { storedGraphFile, weightsFile } from '../runtime/model-config.ts'
import { choosePlan } from '../runtime/plan-choice.ts'
import { candidatePlans, planProcesses, type PlanWishes, type ProcessPlan } from '../runtime/process-plan.ts'
import type { Settings } from '../settings/catalogue.ts'
import type { ServingOptions } from '../stream/serving.ts'
import type { Logger } from '../telemetry/log.ts'
import { runnerOptionsOf } from './runner-options.ts'

/** What this machine was found out to be like. */
export const cacheFolder = join('.labelstream', 'cache')

/** How the settings want a model served. */
export function servingOptionsOf(settings: Settings, log: Logger): ServingOptions {
  return {
    ...runnerOptionsOf(settings, log),
    maxTokens: settings['text.maxTokens'],
    graphFolder: join(cacheFolder, 'graphs'),
  }
}

/** How many processes a stream has for its batches, and threads in each. Throws what starting and measuring them throws. */
export async function processPlanOf(settings: Settings, log: Logger, model: Model): Promise<ProcessPlan> {
  const { files } = model.manifest
  const wishes: PlanWishes = {
    processes: settings['runtime.processes'],
    threads: settings['runtime.threads'],
    provider: settings['runtime.provider'],
    weightsBytes: (files[weightsFile] ?? files[storedGraphFile])?.sizeBytes ?? 0,
  }
  if (settings['runtime.plan'] === 'rule') return planProcesses(wishes)
  const options = servingOptionsOf(settings, log)
  const { provider, precision, graph, budgetTokens } = options
  const autoOnCpu = autoPrecisionOnCpu(model.manifest)
  const pool = { ...options, autoOnCpu, folder: model.folder, expectedDigests: model.fileDigests }
  const { processes, threads, why } = await choosePlan(
    {
      plans: candidatePlans(wishes),
      start: (plan) => InferencePool.start({ ...pool, ...plan, output: 'logits' }),
      // not the weights: another version of the model is as fast
      of: [
        provider,
        precision,
        graph ?? 'plain',
        autoOnCpu,
        model.fileDigests['config.json'] ?? '',
        budgetTokens,
      ],
      budgetTokens,
    },
    cacheFolder,
  )
  log.info('processes chosen', { processes, threads, why })
  return { processes, threads }
}
