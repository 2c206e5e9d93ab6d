import { isUtf8 } from 'node:buffer'
import { LabelstreamError } from '../core/errors.ts'
import { lookUp, type JsonPointer } from './json-pointer.ts'
import type { Position, SourceMessage } from './message.ts'

/** Bytes as UTF-8, strictly, without a byte order mark. Throws INPUT_NOT_UTF8. */
export function utf8Text(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new LabelstreamError('INPUT_NOT_UTF8', 'the value is not valid UTF-8')
  return bytes.toString('utf8', startOfText(bytes))
}

/** Index of the first byte after a UTF-8 byte order mark. */
export function startOfText(bytes: Buffer): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
}

/** Bytes as JSON. Throws INPUT_NOT_UTF8 or INPUT_BAD_JSON; the message repeats nothing of the value. */
export function jsonValue(bytes: Buffer): unknown {
  const text = utf8Text(bytes)
  try {
    return JSON.parse(text)
  } catch {
    throw new LabelstreamError(
      'INPUT_BAD_JSON',
      'the value is not valid JSON (if the values are plain text, set input.format to text)',
    )
  }
}

/** The string at the pointer. Throws INPUT_MISSING_FIELD. */
export function textAt(document: unknown, pointer: JsonPointer): string {
  const text = lookUp(document, pointer)
  if (typeof text === 'string') return text
  const found = text === undefined ? 'nothing' : text === null ? 'null' : `a value of type ${typeof text}`
  throw new LabelstreamError(
    'INPUT_MISSING_FIELD',
    `there is ${found} at /${pointer.join('/')} of the value, where its text should be`,
  )
}

/**
 * The text as it is scored: not empty, within the limit, without lone surrogates (a JSON escape can make
 * them; they become U+FFFD as in any UTF-8 encoder). Throws INPUT_EMPTY_TEXT or INPUT_TEXT_TOO_LARGE.
 */
export function acceptText(text: string, maxTextBytes: number): string {
  const sizeBytes = Buffer.byteLength(text, 'utf8')
  if (sizeBytes > maxTextBytes) throw textTooLarge('text', sizeBytes, maxTextBytes)
  if (text.trim() === '') throw new LabelstreamError('INPUT_EMPTY_TEXT', 'the text is empty')
  return /\p{Surrogate}/u.test(text) ? Buffer.from(text, 'utf8').toString('utf8') : text
}

export function textTooLarge(what: string, sizeBytes: number, maxBytes: number): LabelstreamError {
  return new LabelstreamError(
    'INPUT_TEXT_TOO_LARGE',
    `the ${what} has ${String(sizeBytes)} bytes, the limit is ${String(maxBytes)}`,
  )
}

/**
 * The largest value that is looked at: room for a text of `maxTextBytes` in JSON's longest escape (six bytes
 * for one) and for other fields. Checked before a value is parsed.
 */
export function defaultMaxMessageBytes(maxTextBytes: number): number {
  return 6 * maxTextBytes + 1_048_576
}

/** The text's id: the field at the pointer, else the message's key, else topic/partition/offset. */
export function idOf(
  document: unknown,
  pointer: JsonPointer,
  message: Position & Pick<SourceMessage, 'key'>,
): string {
  const field = document === undefined ? undefined : lookUp(document, pointer)
  if (typeof field === 'string' && field !== '') return field
  // JSON numbers beyond 2^53 have lost digits already: two texts could get the same id
  if (typeof field === 'bigint' || Number.isSafeInteger(field)) return String(field)
  if (message.key !== null && message.key.length > 0) return keyText(message.key)
  return eventIdOf(message)
}

/** `topic/partition/offset`: stable across redelivery. */
export function eventIdOf(position: Position): string {
  return `${position.topic}/${String(position.partition)}/${String(position.offset)}`
}

/** A key as text; as hexadecimal digits when it is not UTF-8 or holds control characters (a binary number). */
function keyText(key: Buffer): string {
  const text = isUtf8(key) ? key.toString('utf8') : ''
  return text === '' || /\p{Cc}/u.test(text) ? key.toString('hex') : text
}
