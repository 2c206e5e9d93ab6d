import { basename } from 'node:path'
import { readFileLimited } from '../core/files.ts'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { writerSchemas } from '../formats/avro-value.ts'
import type { LabeledTextOptions } from '../formats/labeled-text.ts'
import { topicExtent } from '../kafka/admin.ts'
import { readRange } from '../kafka/read-range.ts'
import {
  type DataSource,
  type FileSource,
  type ReadableDataManifest,
  type TopicSource,
  parseDataManifest,
} from '../models/data-manifest.ts'
import { maxManifestBytes } from '../models/manifest.ts'
import { type LabeledTexts, latestById } from '../train/dataset.ts'
import { identifyFile, readJsonLines } from '../train/json-lines.ts'
import { type PrepareOptions, prepare } from '../train/prepare.ts'
import { goneByContent, goneByOffset } from '../train/recorded-rows.ts'
import { splitParts } from '../train/stratify.ts'
import { latestRows, textsOfRows } from '../train/topic-rows.ts'
import type { CommandContext, CommandOption, OptionValues } from './command.ts'
import { kafkaClientOf } from './kafka-client.ts'
import { dataOptionHelp, offsetsOf, readLabeledData, readingOptions, topicOf } from './labeled-data.ts'
import { optionalOption, requiredOption } from './output.ts'
import { registryOf } from './registry-client.ts'
import { choiceOption } from './training-options.ts'

/** What to train on. */
export const trainingDataOptions: readonly CommandOption[] = [
  { flags: '--data <source>', help: `${dataOptionHelp}; needed without --manifest` },
  {
    flags: '--dev <source>',
    help: 'rows to choose epochs, calibration and thresholds on (default: a part of the data)',
  },
  {
    flags: '--manifest <file>',
    help: "the very rows of an earlier training: its version's manifest.json. --data and --dev say where they are now, if elsewhere",
  },
]

/** What to measure on. */
export const evaluationDataOptions: readonly CommandOption[] = [
  { flags: '--data <source>', help: `${dataOptionHelp}; needed without --manifest` },
  {
    flags: '--manifest <file>',
    help: "the very rows of a training: its version's manifest.json. --data and --dev say where they are now, if elsewhere",
  },
  { flags: '--dev <source>', help: "where a manifest's dev rows are now" },
  {
    flags: '--part <name>',
    help: "part of a manifest's rows: train, dev or test (default: test, or dev where there is no test part)",
  },
]

/** The rows to train on. Throws USAGE, what the sources throw, and DATA_GONE when a manifest's rows are not there. */
export async function readTrainingData(
  context: CommandContext,
  options: OptionValues,
): Promise<Pick<PrepareOptions, 'data' | 'dev' | 'fractions' | 'expected'>> {
  const dev = optionalOption(options, 'dev')
  const path = optionalOption(options, 'manifest')
  if (path === undefined) {
    const data = await readLabeledData(context, requiredOption(options, 'data'))
    return dev === undefined ? { data } : { data, dev: await readLabeledData(context, dev) }
  }
  const { sources, fractions, digest } = await readManifest(path)
  if (dev !== undefined && sources.dev === undefined) {
    throw new LabelstreamError('USAGE', `--dev: ${path} has no dev rows of their own`)
  }
  const data = await readAgain(
    context,
    path,
    movedTo(sources.data, '--data', optionalOption(options, 'data')),
  )
  return {
    data,
    ...(sources.dev === undefined
      ? {}
      : { dev: await readAgain(context, path, movedTo(sources.dev, '--dev', dev)) }),
    ...(fractions === undefined ? {} : { fractions }),
    expected: { path, digest },
  }
}

/**
 * The rows to measure on: those of `--data`, or a part of a manifest's.
 * Throws as `readTrainingData`.
 */
export async function readEvaluationData(
  context: CommandContext,
  options: OptionValues,
): Promise<LabeledTexts> {
  const part = choiceOption(options, 'part', splitParts)
  if (optionalOption(options, 'manifest') === undefined) {
    for (const name of ['part', 'dev']) {
      if (options[name] === undefined) continue
      throw new LabelstreamError('USAGE', `--${name} goes with --manifest`)
    }
    return readLabeledData(context, requiredOption(options, 'data'))
  }
  const rows = await readTrainingData(context, options)
  const { split } = prepare(rows)
  const chosen = part ?? (split.test.rows.length > 0 ? 'test' : 'dev')
  if (rows.dev !== undefined && chosen === 'dev') return rows.dev
  const ids = new Set(split[chosen].rows.map(({ id }) => id))
  return {
    source: `${chosen} part of ${rows.data.source}`,
    texts: latestById(rows.data.texts).filter(({ id }) => ids.has(id)),
  }
}

async function readManifest(path: string): Promise<ReadableDataManifest> {
  const bytes = await readFileLimited(path, maxManifestBytes).catch((error: unknown) => {
    if (error instanceof LabelstreamError) throw error
    throw new LabelstreamError('FILE_UNREADABLE', `--manifest: ${path} cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  })
  return parseDataManifest(bytes.toString('utf8'), path)
}

interface Moved<Source> {
  readonly recorded: Source
  /** The file or topic that holds its rows now. */
  readonly at: string
}

function movedTo(recorded: DataSource, option: string, given: string | undefined): Moved<DataSource> {
  const recordedAt = recorded.kind === 'topic' ? recorded.topic : recorded.path
  if (given === undefined) return { recorded, at: recordedAt }
  const topic = topicOf(given)
  if ((topic === undefined) !== (recorded.kind === 'file')) {
    throw new LabelstreamError(
      'USAGE',
      `${option}: ${given} is not where the manifest's rows are: they are from the ${recorded.kind} ${recordedAt}`,
    )
  }
  return { recorded, at: topic ?? given }
}

function readAgain(
  context: CommandContext,
  path: string,
  { recorded, at }: Moved<DataSource>,
): Promise<LabeledTexts> {
  const options = { ...readingOptions(context), ...recorded.reading }
  return recorded.kind === 'file'
    ? readFileAgain(path, { recorded, at }, options)
    : readTopicAgain(context, path, { recorded, at }, options)
}

async function readFileAgain(
  path: string,
  { recorded, at }: Moved<FileSource>,
  options: LabeledTextOptions,
): Promise<LabeledTexts> {
  const { sizeBytes, sha256 } = await identifyFile(at)
  if (sha256 !== recorded.sha256) {
    throw new LabelstreamError(
      'DATA_GONE',
      `${path}: ${at} is another file now: ${sizeBytes} bytes, sha256 ${sha256}, not ${recorded.sizeBytes} bytes, sha256 ${recorded.sha256}`,
    )
  }
  return readJsonLines(at, options, basename(recorded.path))
}

async function readTopicAgain(
  context: CommandContext,
  path: string,
  { recorded, at: topic }: Moved<TopicSource>,
  options: LabeledTextOptions,
): Promise<LabeledTexts> {
  const { settings, log } = context
  const client = kafkaClientOf(settings, log)
  const now = await topicExtent(client, topic)
  const wanted: TopicSource = { ...recorded, topic }
  const isAnew =
    topic === recorded.topic && recorded.topicId !== undefined && now.topicId !== recorded.topicId
  const anew = isAnew
    ? [`topic ${topic} was created anew (its id is ${now.topicId ?? 'unknown'}, not ${recorded.topicId})`]
    : []
  refuseGone(path, goneByOffset(wanted, { topic, ...now }), anew)
  const messages = readRange(client, topic, {
    from: offsetsOf(recorded.partitions, 'from'),
    to: offsetsOf(recorded.partitions, 'to'),
  })
  const rows = await latestRows(messages, options, writerSchemas(registryOf(settings)))
  refuseGone(path, goneByContent(wanted, rows), anew)
  for (const what of anew) log.warn(`${path}: ${what}, and holds the same rows`)
  return textsOfRows({ topic, topicId: now.topicId, partitions: recorded.partitions }, rows, options)
}

const clausesShown = 3

/** Throws DATA_GONE in one line, with the first clauses and why it came so. */
function refuseGone(path: string, clauses: readonly string[], why: readonly string[]): void {
  if (clauses.length === 0) return
  const more = clauses.length > clausesShown ? [`${clauses.length - clausesShown} more such places`] : []
  throw new LabelstreamError(
    'DATA_GONE',
    `${path}: ${[...why, ...clauses.slice(0, clausesShown), ...more].join('; ')}`,
  )
}
