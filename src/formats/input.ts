import { LabelstreamError } from '../core/errors.ts'
import { readAvro } from './avro-reader.ts'
import { avroFraming, splitFramedAvro, type WriterSchemas } from './avro-value.ts'
import { pointerOf } from './json-pointer.ts'
import type { SourceMessage } from './message.ts'
import {
  acceptText,
  defaultMaxMessageBytes,
  idOf,
  jsonValue,
  startOfText,
  textAt,
  textTooLarge,
  utf8Text,
} from './text-value.ts'
import { traceparentOf } from './trace-context.ts'

export type InputFormat = 'auto' | 'text' | 'json' | 'avro'

export interface InputOptions {
  readonly format: InputFormat
  /** JSON pointer to the text, in JSON and Avro values. */
  readonly textPointer: string
  /** JSON pointer to the id. */
  readonly idPointer: string
  /** Most UTF-8 bytes of a text. */
  readonly maxTextBytes: number
  /** Most bytes of a whole value; by default room for the text and for other fields. */
  readonly maxMessageBytes?: number
  /** Most bytes of key and headers together; 65,536 by default. */
  readonly maxHeaderBytes?: number
}

const defaultMaxHeaderBytes = 65_536

/** A message that can be scored. */
export interface InputText {
  readonly id: string
  readonly text: string
  /** W3C trace context of the producer, when it sent a valid one. */
  readonly traceparent?: string
}

/** A text, or why there is nothing to score although nothing is wrong. */
export type DecodedInput = InputText | { readonly skip: 'tombstone' }

/**
 * Decodes one input message, at once unless the registry has to be asked for its schema. Throws, or rejects with,
 * LabelstreamError: INPUT_* codes for a fault of the message (dead letter), REGISTRY_UNREACHABLE to be tried
 * again, REGISTRY_REFUSED and SETTING_INVALID for wrong settings.
 *
 * `auto` looks at the first bytes: 0x00 or 0xC3 0x01 is framed Avro (neither starts a text), `{` is a JSON
 * object, everything else is text.
 */
export function decodeInput(
  message: SourceMessage,
  options: InputOptions,
  schemas: WriterSchemas,
): DecodedInput | Promise<DecodedInput> {
  const { value } = message
  if (value === null) return { skip: 'tombstone' }
  const maxMessageBytes = options.maxMessageBytes ?? defaultMaxMessageBytes(options.maxTextBytes)
  if (value.length > maxMessageBytes) throw textTooLarge('value', value.length, maxMessageBytes)

  checkHeaders(message, options.maxHeaderBytes ?? defaultMaxHeaderBytes)
  const format = options.format === 'auto' ? detectFormat(value) : options.format
  if (format === 'text') return fromText(value, message, options)
  if (format === 'json') return fromDocument(jsonValue(value), message, options)
  const { schema, payload } = splitFramedAvro(value, schemas)
  if (schema instanceof Promise) {
    return schema.then((known) => fromDocument(readAvro(known, payload), message, options))
  }
  return fromDocument(readAvro(schema, payload), message, options)
}

/** The score goes out with the message's key and headers; they must leave room for it in a record. */
function checkHeaders({ key, headers }: SourceMessage, maxBytes: number): void {
  let sizeBytes = key?.length ?? 0
  for (const name in headers) {
    const values = headers[name]
    for (const value of Array.isArray(values) ? values : [values]) {
      sizeBytes += Buffer.byteLength(name) + (value === undefined ? 0 : Buffer.byteLength(value))
    }
  }
  if (sizeBytes <= maxBytes) return
  throw new LabelstreamError(
    'INPUT_HEADERS_TOO_LARGE',
    `key and headers have ${String(sizeBytes)} bytes, the limit is ${String(maxBytes)}`,
  )
}

function fromText(value: Buffer, message: SourceMessage, options: InputOptions): InputText {
  const sizeBytes = value.length - startOfText(value)
  // before it is decoded
  if (sizeBytes > options.maxTextBytes) throw textTooLarge('text', sizeBytes, options.maxTextBytes)
  const text = acceptText(utf8Text(value), options.maxTextBytes)
  return { id: idOf(undefined, [], message), text, ...traceOf(message) }
}

function fromDocument(document: unknown, message: SourceMessage, options: InputOptions): InputText {
  const text = acceptText(textAt(document, pointerOf(options.textPointer)), options.maxTextBytes)
  return { id: idOf(document, pointerOf(options.idPointer), message), text, ...traceOf(message) }
}

function traceOf(message: SourceMessage): { traceparent?: string } {
  const traceparent = traceparentOf(message.headers)
  return traceparent === undefined ? {} : { traceparent }
}

function detectFormat(value: Buffer): 'text' | 'json' | 'avro' {
  if (avroFraming(value) !== undefined) return 'avro'
  return firstVisibleByte(value) === 0x7b ? 'json' : 'text'
}

function firstVisibleByte(value: Buffer): number | undefined {
  for (let index = startOfText(value); index < value.length; index++) {
    const byte = value[index]
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) return byte
  }
  return undefined
}
