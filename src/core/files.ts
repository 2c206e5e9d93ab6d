import { open } from 'node:fs/promises'
import { LabelstreamError } from './errors.ts'

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
