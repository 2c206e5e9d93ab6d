import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { createInterface } from 'node:readline'
import { sha256OfFile } from '../core/digest.ts'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { type LabeledText, type LabeledTextOptions, labeledTextOf } from '../formats/labeled-text.ts'
import type { FileSource } from '../models/data-manifest.ts'
import type { LabeledTexts } from './dataset.ts'

/** What a row may be, unless told otherwise. */
export const defaultRowOptions: LabeledTextOptions = {
  textPointer: '/text',
  idPointer: '/id',
  maxTextBytes: 100_000,
  absent: 'negative',
}

/** How a file's content is told from others. */
export type FileIdentity = Pick<FileSource, 'sizeBytes' | 'sha256'>

/** Throws FILE_UNREADABLE. */
export async function identifyFile(path: string): Promise<FileIdentity> {
  try {
    const { size: sizeBytes } = await stat(path)
    return { sizeBytes, sha256: await sha256OfFile(path) }
  } catch (error) {
    throw new LabelstreamError('FILE_UNREADABLE', `${path} cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/**
 * The labelled texts of a JSONL file, one object a line, in their order; blank lines are skipped and a row
 * without an id gets NAME/0/LINE, where the name is the file's unless another one is given.
 * Throws FILE_UNREADABLE, or DATA_INVALID naming the line and the reason.
 */
export async function readJsonLines(
  path: string,
  options = defaultRowOptions,
  name = basename(path),
): Promise<LabeledTexts> {
  const identity = await identifyFile(path)
  const texts: LabeledText[] = []
  let line = 0
  for await (const content of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    line++
    if (content.trim() === '') continue
    texts.push(readLine(content, { path, name, line }, options))
  }
  const { textPointer, idPointer, absent } = options
  return {
    source: `${name} sha256:${identity.sha256}`,
    texts,
    origin: { kind: 'file', path, ...identity, reading: { textPointer, idPointer, absent } },
  }
}

function readLine(
  content: string,
  { path, name, line }: { path: string; name: string; line: number },
  options: LabeledTextOptions,
): LabeledText {
  try {
    const document: unknown = JSON.parse(content)
    return labeledTextOf(document, options, { topic: name, partition: 0, offset: line, key: null })
  } catch (error) {
    // JSON.parse quotes the text in its message, which must not be repeated.
    const reason = error instanceof LabelstreamError ? error.message : 'not valid JSON'
    throw new LabelstreamError('DATA_INVALID', `${path} line ${line}: ${reason}`)
  }
}
