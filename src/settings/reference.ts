import { z } from 'zod'
import { declarations, settingKeys, type SettingKey, type Settings } from './catalogue.ts'
import { environmentNameOf, flagOf, type Declaration } from './declare.ts'
import type { LoadedSettings } from './load.ts'

export interface SettingRow {
  readonly key: SettingKey
  readonly flag: string
  readonly environment: string
  readonly default: string
  readonly help: string
}

const shown = (value: unknown): string => (Array.isArray(value) ? value.join(',') : String(value))

/** What a person is told about each setting, in the catalogue's order. */
export function settingRows(): SettingRow[] {
  return settingKeys.map((key) => {
    const declaration = declarationOf(key)
    return {
      key,
      flag: flagOf(key),
      environment: environmentNameOf(key, declaration),
      default: shown(declaration.default),
      help: helpWithChoices(declaration),
    }
  })
}

function declarationOf(key: SettingKey): Declaration {
  const declaration = declarations[key]
  if (declaration === undefined) throw new Error(`no declaration of ${key}`)
  return declaration
}

function helpWithChoices({ schema, help }: Declaration): string {
  if (!(schema instanceof z.ZodEnum)) return help
  const choices = schema.options.map((choice) => (choice === '' ? 'empty' : String(choice)))
  return `${help} One of ${choices.join(', ')}.`
}

/** The effective values and where each came from; a secret is shown only as set or not set. */
export function effectiveSettings({
  settings,
  origins,
}: LoadedSettings): Record<string, { value: unknown; origin: string }> {
  return Object.fromEntries(
    settingKeys.map((key) => {
      const secret = declarationOf(key).secret === true
      const value: Settings[SettingKey] | string = secret
        ? settings[key] === ''
          ? ''
          : '(set)'
        : settings[key]
      return [key, { value, origin: origins[key] }]
    }),
  )
}

/** docs/settings.md */
export function settingsPage(): string {
  const rows = settingRows().map(
    (row) =>
      `| \`${row.key}\` | \`${row.default === '' ? ' ' : row.default}\` | ${row.help} | \`${row.environment}\` |`,
  )
  return [
    '# Settings',
    '',
    'Later wins: defaults, `labelstream.yaml` (or `--settings FILE`), environment, flags. A flag is the key in',
    'kebab case: `batch.maxWaitMs` is `--batch-max-wait-ms`. `labelstream settings` shows the effective values and',
    'where each came from. This page is made by `npm run docs`.',
    '',
    '| setting | default | meaning | environment |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}

/** A JSON schema of labelstream.yaml, with dotted keys. */
export function settingsJsonSchema(): unknown {
  const properties = Object.fromEntries(
    settingKeys.map((key) => {
      const { schema, help, default: fallback } = declarationOf(key)
      const property = z.toJSONSchema(schema, { io: 'input' })
      delete property.$schema
      return [key, { ...property, description: help, default: fallback }]
    }),
  )
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'labelstream settings',
    type: 'object',
    additionalProperties: false,
    properties,
  }
}
