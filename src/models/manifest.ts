import { z } from 'zod'
import { sha256 } from '../core/digest.ts'
import { LabelstreamError } from '../core/errors.ts'
import { dataManifestSchema } from './data-manifest.ts'

export const manifestFile = 'manifest.json'
export const cardFile = 'README.md'
/** Golden texts and metrics of thousands of labels fit many times. */
export const maxManifestBytes = 16 * 1_048_576
/** The report of the training, for people. */
export const reportFile = 'report.html'

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'not a SHA-256')

const shared = {
  format: z.literal(1),
  name: z.string(),
  version: z.string(),
  created: z.iso.datetime(),
  licence: z.string(),
  /** Every file of the folder but this one. */
  files: z
    .record(
      z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*$/, 'not a plain file name'),
      z.object({ sha256: sha256Schema, sizeBytes: z.int().min(0) }),
    )
    .refine((files) => Object.keys(files).length <= 1_000, 'more than 1,000 files'),
}

/** A pretrained encoder without labels: what `retrain --base` starts from. */
const encoderSchema = z.object({
  ...shared,
  kind: z.literal('encoder'),
  origin: z.string(),
})

/** A model that scores texts. */
const classifierSchema = z.object({
  ...shared,
  kind: z.literal('classifier'),
  /** Longest window in tokens, [CLS] and [SEP] included. */
  maxTokens: z.int().min(3),
  base: z.object({ name: z.string(), digest: z.string() }).optional(),
  /** The repository of a model hub that the files were fetched from. */
  source: z.object({ hub: z.string(), repository: z.string(), commit: z.string() }).optional(),
  strategy: z.string(),
  seed: z.int().optional(),
  hyperparameters: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])),
  data: dataManifestSchema.optional(),
  /** Where calibrators and thresholds were fitted anew: the version whose weights these are, and the rows. */
  calibratedOn: z
    .object({ version: z.string(), source: z.string(), digest: z.string(), rows: z.int().min(1) })
    .optional(),
  /** As `evaluate` prints them, by the part of the data they were measured on. */
  metrics: z.record(z.string(), z.unknown()),
  /** Texts whose calibrated scores a served model must reproduce. */
  golden: z.array(z.object({ text: z.string(), scores: z.record(z.string(), z.number()) })),
  /** Scores of the int8 graph compared with those of fp32 on the dev part; absent when nobody compared them. */
  int8Check: z
    .object({
      passed: z.boolean(),
      rows: z.int().min(1),
      /** Over all rows and labels, calibrated. */
      meanScoreDifference: z.number(),
      maxScoreDifference: z.number(),
      /** Of int8 with the thresholds it is served with, and how far above fp32 with its own. */
      macroF1: z.number(),
      macroF1Difference: z.number(),
    })
    .optional(),
})

const manifestSchema = z.discriminatedUnion('kind', [encoderSchema, classifierSchema])

export type Manifest = z.infer<typeof manifestSchema>
export type ClassifierManifest = z.infer<typeof classifierSchema>
export type FileDigests = Manifest['files']

/** Reads manifest.json's text. Throws MODEL_CORRUPT naming `path` and the first thing that does not fit. */
export function parseManifest(text: string, path: string): Manifest {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new LabelstreamError('MODEL_CORRUPT', `${path}: not valid JSON`)
  }
  const parsed = manifestSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new LabelstreamError(
    'MODEL_CORRUPT',
    `${path}: ${issue?.path.join('.') ?? 'the document'}: ${issue?.message ?? 'does not fit'}`,
  )
}

/**
 * The digest of a version: SHA-256 over the lines `<sha256>  <file>` (sha256sum's form, sorted by file) of all
 * its files but the manifest, the card and the report. So it names what is served: the same training gives the same digest
 * whenever and under whatever name it ran.
 */
export function versionDigest(files: FileDigests): string {
  const lines = Object.entries(files)
    .filter(([file]) => file !== cardFile && file !== reportFile)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([file, { sha256: digest }]) => `${digest}  ${file}\n`)
  return sha256(lines.join(''))
}
