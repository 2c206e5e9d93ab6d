import { readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { LabelstreamError, messageOf } from './errors.ts'

/**
 * A whole file, its size checked before anything is allocated. Throws the file system's error, or FILE_UNREADABLE
 * where it is larger than `maxBytes` or no file (a pipe or a device has no end).
 */
export async function readFileLimited(path: string, maxBytes: number): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    const found = await file.stat()
    if (!found.isFile()) throw new LabelstreamError('FILE_UNREADABLE', `${path} is not a file`)
    if (found.size > maxBytes) {
      throw new LabelstreamError(
        'FILE_UNREADABLE',
        `${path} has ${found.size} bytes, the limit is ${maxBytes}`,
      )
    }
    return await file.readFile()
  } finally {
    await file.close()
  }
}

/** The text of a file that a setting names. Throws FILE_UNREADABLE naming both. */
export function readSettingFile(setting: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new LabelstreamError(
      'FILE_UNREADABLE',
      `setting ${setting}: ${path} cannot be read: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

/**
 * A secret in a file of its own; a trailing line break is not part of it. Throws FILE_UNREADABLE, or SETTING_INVALID
 * for an empty file: an empty secret is nearly always a mount that failed.
 */
export function readSecret(setting: string, path: string): string {
  const secret = readSettingFile(setting, path).replace(/\r?\n$/, '')
  if (secret !== '') return secret
  throw new LabelstreamError('SETTING_INVALID', `setting ${setting}: ${path} is empty`)
}
