import { repeatWhile } from '../core/backoff.ts'
import { asLabelstreamError, type LabelstreamError } from '../core/errors.ts'
import { readSecret } from '../core/files.ts'
import { SchemaRegistry } from '../formats/registry.ts'
import { labelScoresSchemaText } from '../formats/scores.ts'
import type { Settings } from '../settings/catalogue.ts'

/** A registry that is being restarted is waited for; one that is not there at all is to be told. */
const firstAnswerMs = 60_000

/** The schema registry that the settings name, or undefined. Throws FILE_UNREADABLE or SETTING_INVALID. */
export function registryOf(settings: Settings): SchemaRegistry | undefined {
  if (settings['registry.url'] === '') return undefined
  const username = settings['registry.username']
  const passwordFile = settings['registry.passwordFile']
  return new SchemaRegistry({
    url: settings['registry.url'],
    ...(username === '' ? {} : { username }),
    ...(passwordFile === '' ? {} : { password: readSecret('registry.passwordFile', passwordFile) }),
  })
}

/**
 * The bytes in front of each score event: its schema is registered for the topic. Tried again for a minute while the
 * registry does not answer; then, and for whatever else, throws what `SchemaRegistry.valueHeader` throws.
 */
export function scoresHeader(
  registry: SchemaRegistry,
  topic: string,
  onRetry: (fault: LabelstreamError) => void,
): Promise<Buffer> {
  const isTransient = (thrown: unknown): boolean => {
    const fault = asLabelstreamError(thrown)
    if (fault.disposition !== 'retry') return false
    onRetry(fault)
    return true
  }
  return repeatWhile(() => registry.valueHeader(topic, labelScoresSchemaText()), isTransient, firstAnswerMs)
}
