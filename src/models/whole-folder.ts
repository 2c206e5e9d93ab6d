import { randomBytes } from 'node:crypto'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { LabelstreamError, messageOf } from '../core/errors.ts'

/**
 * Writes a folder whole or not at all: `fill` writes into a hidden sibling, which is renamed when it is complete, so that
 * nobody ever sees half of it. False, and nothing is written, where a folder that is not empty stands at `path` already.
 * Throws FILE_UNREADABLE, and what `fill` throws where that is one of our errors.
 */
export async function writeWholeFolder(
  path: string,
  fill: (folder: string) => Promise<void>,
): Promise<boolean> {
  const temporary = join(dirname(path), `.${randomBytes(6).toString('hex')}`)
  try {
    await mkdir(temporary, { recursive: true })
    await fill(temporary)
    await rename(temporary, path)
    return true
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    if (isNotEmpty(error)) return false
    if (error instanceof LabelstreamError) throw error
    throw new LabelstreamError('FILE_UNREADABLE', `${path} cannot be written: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

const isNotEmpty = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST')
