import { join } from 'node:path'
import { LabelstreamError } from '../core/errors.ts'

/** Model and version names: one path segment that can neither climb nor hide, nor hold `@`. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/

export const isName = (text: string): boolean => namePattern.test(text)

/** What a reference names: a version (or the champion) of a model in the models folder, or any folder. */
export type ModelReference =
  | { readonly kind: 'named'; readonly name: string; readonly version: string | undefined }
  | { readonly kind: 'folder'; readonly folder: string }

/**
 * Reads `name`, `name@version` or a folder path (anything with a slash, or starting with a dot).
 * Throws SETTING_INVALID for anything else.
 */
export function parseReference(reference: string): ModelReference {
  if (/[/\\]/.test(reference) || reference.startsWith('.')) return { kind: 'folder', folder: reference }
  const [name = '', version, more] = reference.split('@')
  if (isName(name) && (version === undefined || isName(version)) && more === undefined) {
    return { kind: 'named', name, version }
  }
  throw new LabelstreamError(
    'SETTING_INVALID',
    `model ${JSON.stringify(reference)}: write a name, name@version or a folder such as ./models/NAME/VERSION`,
  )
}

/** The folder of a model's versions. Throws SETTING_INVALID when the name could leave the models folder. */
export function modelFolder(modelsFolder: string, name: string): string {
  return join(modelsFolder, checkedName('model', name))
}

/** The folder of one version. Throws SETTING_INVALID as `modelFolder`. */
export function versionFolder(modelsFolder: string, name: string, version: string): string {
  return join(modelFolder(modelsFolder, name), checkedName('version', version))
}

/** A version's name: its creation time, so that names sort by age, and the head of its digest. */
export function versionName(created: Date, digest: string): string {
  return `${created.toISOString().slice(0, 19).replaceAll(':', '-')}Z-${digest.slice(0, 6)}`
}

function checkedName(what: string, name: string): string {
  if (isName(name)) return name
  throw new LabelstreamError(
    'SETTING_INVALID',
    `${what} name ${JSON.stringify(name)}: letters, digits, dot, dash and underscore, starting with a letter or digit, at most 100`,
  )
}
