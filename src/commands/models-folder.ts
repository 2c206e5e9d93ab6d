import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { packageRoot } from '../core/paths.ts'
import { declarations, type Settings } from '../settings/catalogue.ts'

/** Where models are read: `models.folder`, or the program's own models where the default is not there. */
export function modelsFolderOf(settings: Settings): string {
  const folder = resolve(settings['models.folder'])
  const isDefault = settings['models.folder'] === declarations['models.folder']?.default
  return isDefault && !existsSync(folder) ? join(packageRoot, 'models') : folder
}
