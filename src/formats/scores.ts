import avro from 'avsc'
import { LabelstreamError } from '../core/errors.ts'
import { parseAvroSchema } from './avro-schema.ts'
import { readFramedAvro, type WriterSchemas } from './avro-value.ts'
import { type NamedScores, ScoreMapWriter } from './score-map.ts'
import { schemaText } from './schema-files.ts'
import { singleObjectHeader } from './single-object.ts'

/** One event of the scores topic; schemas/LabelScores.avsc says what each field is. */
export interface LabelScores {
  /** `topic/partition/offset` of the input (`eventIdOf`). */
  readonly eventId: string
  readonly id: string
  readonly source: {
    readonly topic: string
    readonly partition: number
    readonly offset: number
    /** Milliseconds since the Unix epoch. */
    readonly timestamp: number
  }
  readonly model: {
    readonly name: string
    readonly version: string
    readonly digest: string
    readonly precision: string
  }
  /** Probability of every label; on the wire float32. */
  readonly scores: Readonly<Record<string, number>>
  /** The decided labels, highest score first. */
  readonly labels: readonly string[]
  readonly tokens: number
  readonly windows: number
  readonly truncated: boolean
  /** Milliseconds since the Unix epoch. */
  readonly scoredAt: number
}

/** The same on its way out: the scores may still be the array that the model gave. */
export type ScoredEvent = Omit<LabelScores, 'scores'> & {
  readonly scores: NamedScores | LabelScores['scores']
}

/** The schema of the scores as JSON text, for the registry. */
export function labelScoresSchemaText(): string {
  return schemaText('LabelScores')
}

/**
 * An encoder of events. `header` goes in front of every value: `confluentHeader(id)` when a registry is
 * configured, by default that of single-object encoding. Throws INTERNAL when an event does not fit the schema.
 */
export function labelScoresEncoder(header?: Buffer): (event: ScoredEvent) => Buffer {
  const text = labelScoresSchemaText()
  const { before, after } = aroundScores(text)
  const front = header ?? singleObjectHeader(parseAvroSchema(text, 'schemas/LabelScores.avsc'))
  let scratch = Buffer.alloc(4_096)
  front.copy(scratch)
  // every event of one model names the same labels in the same array
  let map = new ScoreMapWriter([])

  /** The end of the event in `scratch`; negative when it did not fit, then so many bytes are missing. */
  const write = (event: ScoredEvent, values: Float32Array): number => {
    const start = before.encode(event, scratch, front.length)
    if (start < 0) return start
    const end = start + map.sizeBytes
    if (end > scratch.length) return scratch.length - end
    map.write(values, scratch, start)
    return after.encode(event, scratch, end)
  }

  return (event) => {
    const { names, values } = namedScores(event.scores)
    if (map.names !== names) map = new ScoreMapWriter(names)
    let end: number
    try {
      end = write(event, values)
      while (end < 0) {
        scratch = Buffer.alloc(2 * (scratch.length - end))
        front.copy(scratch)
        end = write(event, values)
      }
    } catch {
      // avsc's own message quotes the value
      throw new LabelstreamError('INTERNAL', `the scores of ${event.eventId} do not fit their schema`)
    }
    return Buffer.from(scratch.subarray(0, end))
  }
}

/** A record is its fields one after the other: those before the scores and those after them, as two records. */
function aroundScores(text: string): { before: avro.Type; after: avro.Type } {
  const schema = JSON.parse(text) as { fields: { name: string }[] }
  const place = schema.fields.findIndex(({ name }) => name === 'scores')
  const part = (fields: object[]): avro.Type =>
    avro.Type.forSchema({ ...schema, fields } as unknown as avro.Schema)
  return { before: part(schema.fields.slice(0, place)), after: part(schema.fields.slice(place + 1)) }
}

function namedScores(scores: ScoredEvent['scores']): NamedScores {
  // a label may be called `values`, but its score is a number
  if (scores.values instanceof Float32Array) return scores as NamedScores
  const byLabel = scores as LabelScores['scores']
  return { names: Object.keys(byLabel), values: Float32Array.from(Object.values(byLabel)) }
}

/**
 * Decodes a value of the scores topic, in either framing and of any schema version that is known.
 * Throws INPUT_BAD_AVRO, INPUT_NOT_UTF8, INPUT_UNKNOWN_SCHEMA, or what the registry throws.
 */
export async function decodeLabelScores(value: Buffer, schemas: WriterSchemas): Promise<LabelScores> {
  const event = await readFramedAvro(value, schemas)
  if (!looksLikeLabelScores(event)) {
    throw new LabelstreamError(
      'INPUT_BAD_AVRO',
      'the value is Avro, but its schema is not that of label scores',
    )
  }
  return event
}

/** The writer's schema gave the types inside; this tells label scores from other records. */
function looksLikeLabelScores(value: unknown): value is LabelScores {
  if (typeof value !== 'object' || value === null) return false
  const event = value as Record<keyof LabelScores, unknown>
  const isRecord = (field: unknown): boolean => typeof field === 'object' && field !== null
  return (
    typeof event.eventId === 'string' &&
    isRecord(event.source) &&
    isRecord(event.model) &&
    isRecord(event.scores) &&
    Array.isArray(event.labels)
  )
}
