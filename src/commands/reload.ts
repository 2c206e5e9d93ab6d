import { basename } from 'node:path'
import { championMark, readChampion } from '../models/champion.ts'
import { followedModel, type Model, openModel } from '../models/folder.ts'
import type { Settings } from '../settings/catalogue.ts'
import { ModelReload } from '../stream/model-reload.ts'
import type { Scorer } from '../stream/ports.ts'
import type { Serving } from '../stream/serving.ts'
import type { LogFields, Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { PeakMemory } from './memory.ts'
import { modelsFolderOf } from './models-folder.ts'

export interface ReloadParts {
  readonly settings: Settings
  readonly log: Logger
  readonly metrics: Metrics
  /** The model of the start. */
  readonly serving: Serving
  /** Starts a model's processes and proves it. */
  readonly serve: (model: Model, signal: AbortSignal) => Promise<Serving>
  /** Hears of the moment when two models are warm. */
  readonly peak: PeakMemory
  readonly swap: (scorer: Scorer) => Promise<void>
}

/** The way of another champion to the stream, where the setting `model` means a champion. It watches nothing yet. */
export async function modelReloadOf(parts: ReloadParts): Promise<ModelReload<Serving>> {
  const { settings, log, metrics, serving, serve, peak, swap } = parts
  const followed = await followedModel(settings.model, modelsFolderOf(settings))
  const { modelsFolder, name } = followed ?? {
    modelsFolder: modelsFolderOf(settings),
    name: serving.model.name,
  }
  const counters = {
    swapped: metrics.counter('model_reloads_total', { result: 'swapped' }),
    refused: metrics.counter('model_reloads_total', { result: 'refused' }),
    failed: metrics.counter('model_reloads_total', { result: 'failed' }),
  }
  let serves = serving
  return new ModelReload(serving, basename(serving.model.folder), {
    mark: () => (followed === undefined ? Promise.resolve(undefined) : championMark(modelsFolder, name)),
    promoted: () => readChampion(modelsFolder, name),
    load: async (version, signal) => serve(await openModel(`${name}@${version}`, modelsFolder), signal),
    swap: (next) => {
      peak.note(serves.inference, next.inference)
      return swap(next.scorer)
    },
    swapped: (next, before) => {
      serves = next
      counters.swapped.inc()
      metrics.resetGauge('model_info')
      log.info('model reloaded', {
        ...describeModel(next, settings, metrics, log),
        before: nameOf(before),
        ...labelChanges(next.scorer.labels, before.scorer.labels),
      })
    },
    notSwapped: (version, error) => {
      const triedAgain = error.disposition !== 'refuse'
      counters[triedAgain ? 'failed' : 'refused'].inc()
      log.warn('model not reloaded', {
        wanted: version === undefined ? name : `${name}@${version}`,
        serving: nameOf(serves),
        code: error.code,
        reason: error.message,
        triedAgain,
      })
    },
  })
}

/** Sets the metrics that say what serves, and returns what a log line says of it. */
export function describeModel(
  serving: Serving,
  settings: Settings,
  metrics: Metrics,
  log: Logger,
): LogFields {
  const { name, version, digest } = serving.model
  const { processes, threads } = serving.inference
  const { provider, precision, graph, providerFallback } = serving.inference.info
  metrics.setGauge('model_info', { name, version, digest, provider, precision }, 1)
  if (providerFallback !== undefined) {
    metrics.counter('provider_fallbacks_total', { wanted: settings['runtime.provider'] }).inc()
    const place = provider === 'cpu' ? 'the CPU' : `${provider} with a ${graph} graph`
    log.warn(`execution fell back to ${place}`, { reason: providerFallback })
  }
  return { model: nameOf(serving), provider, precision, graph, processes, threads }
}

const nameOf = ({ model: { name, version } }: Serving): string => `${name}@${version}`

/** Readers of the scores may count on labels: that there are others now is worth a word. */
function labelChanges(labels: readonly string[], before: readonly string[]): LogFields {
  const added = labels.filter((label) => !before.includes(label)).length
  const removed = before.filter((label) => !labels.includes(label)).length
  return added + removed === 0 ? {} : { labelsAdded: added, labelsRemoved: removed }
}
