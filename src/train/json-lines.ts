import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { createInterface } from 'node:readline'
import { sha256OfFile } from '../core/digest.ts'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { type LabeledText, type LabeledTextOptions, labeledTextOf } from '../formats/labeled-text.ts'
import type { LabeledTexts } from './dataset.ts'

/** What a row may be, unless told otherwise. */
export const defaultRowOptions: LabeledTextOptions = {
  textPointer: '/text',
  idPointer: '/id',
  maxTextBytes: 100_000,
  absent: 'negative',
}

/**
 * The labelled texts of a JSONL file, one object a line, in their order; blank lines are skipped and a row
 * without an id gets FILE/0/LINE. Throws FILE_UNREADABLE, or DATA_INVALID naming the line and the reason.
 */
export async function readJsonLines(path: string, options = defaultRowOptions): Promise<LabeledTexts> {
  const digest = await sha256OfFile(path).catch((error: unknown) => {
    throw new LabelstreamError('FILE_UNREADABLE', `${path} cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  })
  const texts: LabeledText[] = []
  let line = 0
  for await (const content of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    line++
    if (content.trim() === '') continue
    texts.push(readLine(content, { path, line }, options))
  }
  return { source: `${basename(path)} sha256:${digest}`, texts }
}

function readLine(
  content: string,
  { path, line }: { path: string; line: number },
  options: LabeledTextOptions,
): LabeledText {
  try {
    const document: unknown = JSON.parse(content)
    return labeledTextOf(document, options, { topic: basename(path), partition: 0, offset: line, key: null })
  } catch (error) {
    // JSON.parse quotes the text in its message, which must not be repeated.
    const reason = error instanceof LabelstreamError ? error.message : 'not valid JSON'
    throw new LabelstreamError('DATA_INVALID', `${path} line ${line}: ${reason}`)
  }
}
