import type { Decision } from './decision.ts'
import type { ClassifierManifest } from './manifest.ts'

/** What a manifest says before the version's name and files are known. */
export type ModelDetails = Omit<ClassifierManifest, 'format' | 'kind' | 'version' | 'created' | 'files'>

/**
 * The model card (README.md) of a version: front matter as the Hugging Face hub reads it, then what the model
 * is, how good, from which data, and how to use it.
 */
export function renderCard(details: ModelDetails, decision: Decision, digest: string): string {
  const lines = [
    '---',
    `license: ${details.licence.toLowerCase()}`,
    'pipeline_tag: text-classification',
    'tags: [multi-label, labelstream]',
    ...(details.base === undefined ? [] : [`base_model: ${details.base.name}`]),
    '---',
    '',
    `# ${details.name}`,
    '',
    `A multi-label text classifier for ${decision.labels.length} labels. A text can have none, one or many.`,
    '',
    '| | |',
    '|---|---|',
    `| digest | \`${digest}\` |`,
    ...(details.base === undefined
      ? []
      : [`| base encoder | ${details.base.name} (\`${details.base.digest.slice(0, 12)}\`) |`]),
    ...(details.source === undefined
      ? []
      : [
          `| source | ${details.source.hub}/${details.source.repository} at \`${details.source.commit.slice(0, 12)}\` |`,
        ]),
    `| strategy | ${details.strategy} |`,
    `| longest window | ${details.maxTokens} tokens |`,
    `| licence | ${details.licence} |`,
    ...(details.seed === undefined ? [] : [`| seed | ${details.seed} |`]),
    ...Object.entries(details.hyperparameters).map(([name, value]) => `| ${name} | ${String(value)} |`),
    '',
    ...dataSection(details),
    ...metricsSection(details),
    '## Labels',
    '',
    `Thresholds: ${decision.thresholdPolicy}, on ${decision.precision} scores after ${decision.calibration} calibration.`,
    '',
    ...labelsTable(details, decision),
    '',
    '## Limits',
    '',
    ...limits(details, decision),
    '',
    '## Use',
    '',
    '```sh',
    `labelstream score --model ${details.name} "a text"`,
    `labelstream run --model ${details.name}`,
    '```',
    '',
  ]
  return lines.join('\n')
}

/**
 * Thresholds, and how good each label is in the part that chose nothing; in dev where all of the others were trained on. What
 * was calibrated anew was measured so that no row was decided by what it chose.
 */
function labelsTable({ metrics }: ModelDetails, { labels }: Decision): string[] {
  const part = measuredPart(metrics)
  const shown = ['precision', 'recall', 'f1']
  return [
    `| label | threshold |${part === undefined ? '' : ` positives in ${part} | ${shown.join(' | ')} |`} |`,
    `|${'---|'.repeat(part === undefined ? 3 : shown.length + 4)}`,
    ...labels.map(({ label, threshold, pooled }) => {
      const own = figuresOf(metrics, part, label)
      const numbers = shown.map((name) => ` ${numberIn(own, name)} |`).join('')
      const figures = part === undefined ? '' : ` ${Number(field(own, 'support') ?? 0)} |${numbers}`
      return `| ${label} | ${threshold.toFixed(3)} |${figures} ${pooled ? 'pooled threshold: too few positives of its own' : ''} |`
    }),
  ]
}

const measuredPart = (metrics: ModelDetails['metrics']): string | undefined =>
  ['calibration', 'test', 'dev'].find((part) => field(metrics[part], 'perLabel') !== undefined)

const figuresOf = (metrics: ModelDetails['metrics'], part: string | undefined, label: string): unknown =>
  field(field(metrics[part ?? ''], 'perLabel'), label)

/** Positives below which a label's figures move by tenths from one sample to the next. */
const fewPositives = 20

function limits({ metrics, maxTokens, base }: ModelDetails, { labels }: Decision): string[] {
  const part = measuredPart(metrics)
  const rare = labels
    .map(({ label }) => label)
    .filter((label) => Number(field(figuresOf(metrics, part, label), 'support') ?? 0) < fewPositives)
  return [
    `- It knows these ${labels.length} labels and texts like those that it was trained on: other sources, other languages and other times were not measured.`,
    `- It was trained on the first ${maxTokens} tokens of a text. A longer one is scored in windows and takes each label's highest score.`,
    ...(part === undefined || rare.length === 0
      ? []
      : [
          `- Fewer than ${fewPositives} positives in ${part}, so that these figures are rough: ${rare.join(', ')}.`,
        ]),
    ...(base === undefined ? [] : [`- It has what ${base.name} learned before, its biases included.`]),
    '- Scores are probabilities as far as the part that they were calibrated on is like what comes.',
  ]
}

function dataSection({ data, calibratedOn }: ModelDetails): string[] {
  if (data === undefined && calibratedOn === undefined) return []
  return [
    '## Data',
    '',
    ...(data === undefined ? [] : trainingData(data)),
    ...(calibratedOn === undefined
      ? []
      : [
          `The weights are those of version ${calibratedOn.version}. Calibrators and thresholds were fitted anew on ${calibratedOn.rows} rows from \`${calibratedOn.source}\` (digest \`${calibratedOn.digest.slice(0, 12)}\`), and measured in folds that they were not fitted on.`,
          '',
        ]),
  ]
}

function trainingData(data: NonNullable<ModelDetails['data']>): string[] {
  return [
    `${data.rows} rows from \`${data.source}\` (digest \`${data.digest.slice(0, 12)}\`): ${data.train} to train, ${data.dev} to choose epochs, calibration and thresholds, ${data.test} held out.`,
    '',
  ]
}

const shownMetrics = [
  'macroF1',
  'microF1',
  'samplesF1',
  'exactMatch',
  'meanAveragePrecision',
  'expectedCalibrationError',
]

function metricsSection({ metrics }: ModelDetails): string[] {
  const parts = Object.entries(metrics)
  if (parts.length === 0) return []
  return [
    '## Quality',
    '',
    `| rows | ${shownMetrics.join(' | ')} |`,
    `|${'---|'.repeat(shownMetrics.length + 1)}`,
    ...parts.map(([part, values]) => {
      const numbers = shownMetrics.map((name) => numberIn(values, name))
      return `| ${part} | ${numbers.join(' | ')} |`
    }),
    '',
  ]
}

function numberIn(values: unknown, name: string): string {
  const value = field(values, name)
  return typeof value === 'number' ? value.toFixed(3) : ''
}

function field(values: unknown, name: string): unknown {
  return typeof values === 'object' && values !== null ? (values as Record<string, unknown>)[name] : undefined
}
