import { readSecret } from '../core/files.ts'
import { SchemaRegistry } from '../formats/registry.ts'
import type { Settings } from '../settings/catalogue.ts'

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
