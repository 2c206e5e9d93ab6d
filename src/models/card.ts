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
    '| label | threshold | |',
    '|---|---|---|',
    ...decision.labels.map(
      ({ label, threshold, pooled }) =>
        `| ${label} | ${threshold.toFixed(3)} | ${pooled ? 'pooled: too few positives of its own' : ''} |`,
    ),
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

function dataSection({ data }: ModelDetails): string[] {
  if (data === undefined) return []
  return [
    '## Data',
    '',
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
  if (typeof values !== 'object' || values === null) return ''
  const value: unknown = (values as Record<string, unknown>)[name]
  return typeof value === 'number' ? value.toFixed(3) : ''
}
