import { createInterface } from 'node:readline'
import { LabelstreamError } from '../core/errors.ts'
import { changesScores, uncalibratedScores } from '../models/decision.ts'
import { openModel } from '../models/folder.ts'
import { Serving, type TextScores } from '../stream/serving.ts'
import type { CommandContext, CommandSpec } from './command.ts'
import { modelsFolderOf } from './models-folder.ts'
import { scoreTable } from './output.ts'
import { servingOptionsOf } from './serving-options.ts'
import { oneProcessSettings } from './runner-options.ts'

const chunkTexts = 4_096

/** One text's result as `score --json` and `demo --json` print it. */
export interface ScoreResult {
  readonly text: string
  readonly scores: Readonly<Record<string, number>>
  /** Where a calibrator changed the scores. */
  readonly uncalibrated?: Readonly<Record<string, number>>
  readonly labels: readonly string[]
}

export const scoreCommand: CommandSpec = {
  name: 'score',
  summary: 'score texts given as arguments, or as JSONL or plain lines on stdin; no Kafka needed',
  arguments: '[text...]',
  settings: [
    'model',
    'models.folder',
    'text.',
    ...oneProcessSettings,
    'batch.budgetTokens',
    'input.maxTextBytes',
  ],
  examples: [
    'labelstream score "Use a sharp knife and keep your fingers curled."',
    'labelstream score --json < texts.jsonl   (lines like {"text": "..."})',
  ],
  run: async (context, positional) => {
    const { settings } = context
    const texts = positional.length > 0 ? [...positional] : await textsFromStdin()
    checkTexts(texts, settings['input.maxTextBytes'])
    const model = await openModel(settings.model, modelsFolderOf(settings))
    const serving = await Serving.start(model, servingOptionsOf(settings, context.log))
    try {
      const results: ScoreResult[] = []
      for (let start = 0; start < texts.length; start += chunkTexts) {
        const chunk = texts.slice(start, start + chunkTexts)
        const scored = await serving.score(chunk)
        for (const [index, outcome] of scored.entries())
          results.push(resultOf(serving, chunk[index] ?? '', outcome))
      }
      printResults(context, serving, results)
    } finally {
      await serving.close()
    }
  },
}

function resultOf(serving: Serving, text: string, { logits, scores, decided }: TextScores): ScoreResult {
  const named = (values: Float32Array): Record<string, number> =>
    Object.fromEntries(serving.model.labels.map((label, column) => [label, values[column] ?? NaN]))
  return {
    text,
    scores: named(scores),
    ...(changesScores(serving.decision) ? { uncalibrated: named(uncalibratedScores(logits)) } : {}),
    labels: decided,
  }
}

function printResults(context: CommandContext, serving: Serving, results: readonly ScoreResult[]): void {
  const { name, version, digest } = serving.model
  const { provider, precision } = serving.inference.info
  context.printJson({ model: { name, version, digest, precision, provider }, results })
  for (const [index, { text, scores }] of results.entries()) {
    if (results.length > 1) context.print(`${index === 0 ? '' : '\n'}${text}`)
    context.print(scoreTable(scores))
  }
}

/** Each line a JSON object or string with the text, or the text itself. */
async function textsFromStdin(): Promise<string[]> {
  if (process.stdin.isTTY) {
    throw new LabelstreamError('USAGE', 'no text: give texts as arguments, or lines on stdin')
  }
  const texts: string[] = []
  let line = 0
  for await (const raw of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    line++
    if (raw.trim() !== '') texts.push(textOfLine(raw, line))
  }
  if (texts.length === 0) throw new LabelstreamError('USAGE', 'no text on stdin')
  return texts
}

function textOfLine(raw: string, line: number): string {
  const start = raw.trimStart()[0]
  if (start !== '{' && start !== '"') return raw
  let value: unknown
  try {
    value = JSON.parse(raw)
  } catch {
    throw new LabelstreamError(
      'DATA_INVALID',
      `stdin, line ${line}: not valid JSON; a line is {"text": "..."} or plain text`,
    )
  }
  const text = typeof value === 'object' && value !== null && 'text' in value ? value.text : value
  if (typeof text === 'string') return text
  throw new LabelstreamError('DATA_INVALID', `stdin, line ${line}: has no string at "text"`)
}

function checkTexts(texts: readonly string[], maxTextBytes: number): void {
  for (const [index, text] of texts.entries()) {
    if (text.trim() === '') throw new LabelstreamError('DATA_INVALID', `text ${index + 1} is empty`)
    const sizeBytes = Buffer.byteLength(text)
    if (sizeBytes > maxTextBytes) {
      throw new LabelstreamError(
        'DATA_INVALID',
        `text ${index + 1} has ${sizeBytes} bytes; setting input.maxTextBytes allows ${maxTextBytes}`,
      )
    }
  }
}
