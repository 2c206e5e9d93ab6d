import { z } from 'zod'
import { LabelstreamError } from '../core/errors.ts'

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'not a SHA-256')
const offsetSchema = z.int().min(0)

/** The settings that shape rows, as they were. */
const readingSchema = z.object({
  textPointer: z.string(),
  idPointer: z.string(),
  absent: z.enum(['negative', 'unknown']),
})

/** Rows of one partition: from the first one's offset to one past the last one's, and what they were. */
const segmentSchema = z.object({
  from: offsetSchema,
  to: offsetSchema,
  rows: z.int().min(1),
  /** Over offset, id, text and labels of each row. */
  sha256: sha256Schema,
})

const topicSourceSchema = z.object({
  kind: z.literal('topic'),
  topic: z.string(),
  /** Kafka's id of the topic; another one when it is deleted and created anew. Absent where the broker has none. */
  topicId: z.string().optional(),
  reading: readingSchema,
  partitions: z.array(
    z.object({
      partition: z.int().min(0),
      /** First offset that was there, and one past the last that was read. */
      from: offsetSchema,
      to: offsetSchema,
      segments: z.array(segmentSchema),
    }),
  ),
})

const fileSourceSchema = z.object({
  kind: z.literal('file'),
  /** As it was given. */
  path: z.string(),
  sizeBytes: z.int().min(0),
  sha256: sha256Schema,
  reading: readingSchema,
})

const sourceSchema = z.discriminatedUnion('kind', [topicSourceSchema, fileSourceSchema])

/** What a training's rows were and where they came from: `data` in a version's manifest.json. */
export const dataManifestSchema = z.object({
  /** In words. */
  source: z.string(),
  /** SHA-256 over labels and rows in the order of train, dev, test. */
  digest: sha256Schema,
  rows: z.int(),
  train: z.int(),
  dev: z.int(),
  test: z.int(),
  /** What the rows can be read from again; absent in manifests of older versions. */
  sources: z.object({ data: sourceSchema, dev: sourceSchema.optional() }).optional(),
  /** Shares of dev and test in a split by hash; absent where dev was given. */
  fractions: z.object({ dev: z.number().min(0).max(1), test: z.number().min(0).max(1) }).optional(),
})

export type DataManifest = z.infer<typeof dataManifestSchema>
export type DataReading = z.infer<typeof readingSchema>
export type DataSource = z.infer<typeof sourceSchema>
export type TopicSource = z.infer<typeof topicSourceSchema>
export type FileSource = z.infer<typeof fileSourceSchema>
export type Segment = z.infer<typeof segmentSchema>

/** What tells a version's manifest from a bare data manifest. */
const versionSchema = z.object({ kind: z.string(), data: z.unknown().optional() })

/** A data manifest that says what to read. */
export type ReadableDataManifest = DataManifest & { readonly sources: NonNullable<DataManifest['sources']> }

/**
 * The data manifest in a version's manifest.json, or in a file of its own.
 * Throws DATA_INVALID naming `path` and what does not fit.
 */
export function parseDataManifest(text: string, path: string): ReadableDataManifest {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new LabelstreamError('DATA_INVALID', `${path}: not valid JSON`)
  }
  const version = versionSchema.safeParse(json)
  if (version.success && version.data.data === undefined) {
    throw new LabelstreamError('DATA_INVALID', `${path}: the model does not say what it was trained on`)
  }
  const data: unknown = version.success ? version.data.data : json
  const parsed = dataManifestSchema.safeParse(data)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new LabelstreamError(
      'DATA_INVALID',
      `${path}: no data manifest: ${issue?.path.join('.') ?? 'the document'}: ${issue?.message ?? 'does not fit'}`,
    )
  }
  const { sources } = parsed.data
  if (sources === undefined) {
    throw new LabelstreamError('DATA_INVALID', `${path}: the manifest does not say what to read (no "sources")`)
  }
  return { ...parsed.data, sources }
}
