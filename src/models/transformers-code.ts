import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LabelstreamError } from '../core/errors.ts'
import { packageRoot } from '../core/paths.ts'

export const transformersFile = 'modeling_labelstream.py'

/** The Python file that `auto_map` names: the pooling and the head for transformers. Throws FILE_UNREADABLE. */
export async function transformersCode(): Promise<readonly [name: string, bytes: Uint8Array]> {
  const path = join(packageRoot, 'models', transformersFile)
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new LabelstreamError('FILE_UNREADABLE', `${path} cannot be read`, { cause: error })
  })
  return [transformersFile, bytes]
}
