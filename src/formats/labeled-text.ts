import avro from 'avsc'
import { LabelstreamError } from '../core/errors.ts'
import { parseAvroSchema } from './avro-schema.ts'
import { avroFraming, readFramedAvro, type WriterSchemas } from './avro-value.ts'
import { lookUp, pointerOf } from './json-pointer.ts'
import type { Position, SourceMessage } from './message.ts'
import { schemaText } from './schema-files.ts'
import { singleObjectHeader } from './single-object.ts'
import { acceptText, defaultMaxMessageBytes, idOf, jsonValue, textAt, textTooLarge } from './text-value.ts'

/** A text with what is known about its labels. */
export interface LabeledText {
  readonly id: string
  readonly text: string
  /** Probability 0..1 of each label that is mentioned; null where it is unknown. */
  readonly labels: ReadonlyMap<string, number | null>
  /** What holds for labels that are not mentioned. A list of names says that no other applies. */
  readonly absent: 'negative' | 'unknown'
}

export interface LabeledTextOptions {
  readonly textPointer: string
  readonly idPointer: string
  /** JSON pointer to the labels, `/labels` by default. */
  readonly labelsPointer?: string
  readonly maxTextBytes: number
  readonly maxMessageBytes?: number
  /** What holds for labels that a map does not mention (setting `labels.absent`). */
  readonly absent: 'negative' | 'unknown'
}

/**
 * Decodes one message of a labelled topic: JSON, or Avro in either framing. A tombstone gives undefined.
 * Throws INPUT_* codes, or what the registry throws.
 */
export async function decodeLabeledText(
  message: SourceMessage,
  options: LabeledTextOptions,
  schemas: WriterSchemas,
): Promise<LabeledText | undefined> {
  const { value } = message
  if (value === null) return undefined
  const maxMessageBytes = options.maxMessageBytes ?? defaultMaxMessageBytes(options.maxTextBytes)
  if (value.length > maxMessageBytes) throw textTooLarge('value', value.length, maxMessageBytes)
  const document = avroFraming(value) === undefined ? jsonValue(value) : await readFramedAvro(value, schemas)
  return labeledTextOf(document, options, message)
}

/** The same from a parsed document, such as a line of JSONL; `message` gives an id where the document has none. */
export function labeledTextOf(
  document: unknown,
  options: LabeledTextOptions,
  message: Position & Pick<SourceMessage, 'key'>,
): LabeledText {
  const text = acceptText(textAt(document, pointerOf(options.textPointer)), options.maxTextBytes)
  const labels = lookUp(document, pointerOf(options.labelsPointer ?? '/labels'))
  return {
    id: idOf(document, pointerOf(options.idPointer), message),
    text,
    labels: Array.isArray(labels) ? namedLabels(labels) : softLabels(labels),
    absent: Array.isArray(labels) ? 'negative' : options.absent,
  }
}

function namedLabels(names: readonly unknown[]): Map<string, number> {
  const labels = new Map<string, number>()
  for (const name of names) {
    if (typeof name !== 'string' || name === '')
      throw badLabels('the list of labels holds something else than names')
    labels.set(name, 1)
  }
  return labels
}

function softLabels(labels: unknown): Map<string, number | null> {
  if (typeof labels !== 'object' || labels === null) throw badLabels('there are no labels')
  const soft = new Map<string, number | null>()
  for (const [name, value] of Object.entries(labels)) {
    const probability = typeof value === 'boolean' ? Number(value) : (value as unknown)
    // written so that NaN fails too
    const known = typeof probability === 'number' && probability >= 0 && probability <= 1
    if (name === '' || !(known || probability === null)) {
      throw badLabels(`the label ${JSON.stringify(name.slice(0, 100))} has no number between 0 and 1`)
    }
    soft.set(name, probability)
  }
  return soft
}

function badLabels(why: string): LabelstreamError {
  return new LabelstreamError(
    'INPUT_BAD_LABELS',
    `${why}; labels are a list of names, or a map from names to numbers between 0 and 1 or null`,
  )
}

/** What `labels put` writes: a list of names, or a map. */
export interface LabeledTextValue {
  readonly id?: string | null
  readonly text: string
  readonly labels: readonly string[] | Readonly<Record<string, number | null>>
}

/** A labelled text in the same shape it was given: the list stays a list, unless the map says more. */
export function labeledTextValue(row: LabeledText): LabeledTextValue {
  const named =
    row.absent === 'negative' && [...row.labels.values()].every((probability) => probability === 1)
  return {
    id: row.id,
    text: row.text,
    labels: named ? [...row.labels.keys()] : Object.fromEntries(row.labels),
  }
}

/** The JSON value of a labelled text. */
export function labeledTextJson(row: LabeledTextValue): Buffer {
  return Buffer.from(JSON.stringify(row), 'utf8')
}

/**
 * An encoder to Avro (schemas/LabeledText.avsc). `header` as in `labelScoresEncoder`.
 * Throws INPUT_BAD_LABELS when a row does not fit the schema.
 */
export function labeledTextEncoder(header?: Buffer): (row: LabeledTextValue) => Buffer {
  const text = labeledTextSchemaText()
  const type = avro.Type.forSchema(JSON.parse(text) as avro.Schema)
  const front = header ?? singleObjectHeader(parseAvroSchema(text, 'schemas/LabeledText.avsc'))
  return (row) => {
    try {
      return Buffer.concat([front, type.toBuffer({ ...row, id: row.id ?? null })])
    } catch {
      throw badLabels('the labels do not fit the schema')
    }
  }
}

/** The schema of labelled texts as JSON text, for the registry. */
export function labeledTextSchemaText(): string {
  return schemaText('LabeledText')
}
