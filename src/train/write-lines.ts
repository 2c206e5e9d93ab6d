import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { LabelstreamError, messageOf } from '../core/errors.ts'

/** Writes documents to a JSONL file, one a line, readable for its owner alone where `isPrivate`. Throws FILE_UNREADABLE. */
export async function writeJsonLines(
  path: string,
  documents: Iterable<object>,
  { isPrivate = false }: { readonly isPrivate?: boolean } = {},
): Promise<void> {
  const file = createWriteStream(path, isPrivate ? { mode: 0o600 } : {})
  try {
    await once(file, 'open')
    for (const document of documents) {
      if (!file.write(`${JSON.stringify(document)}\n`)) await once(file, 'drain')
    }
    file.end()
    await once(file, 'finish')
  } catch (error) {
    file.destroy()
    throw new LabelstreamError('FILE_UNREADABLE', `${path} cannot be written: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
