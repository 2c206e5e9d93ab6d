import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { createRequire } from 'node:module'
import { distance } from 'fastest-levenshtein'
import type * as Yaml from 'yaml'
import type { z } from 'zod'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { declarations, settingKeys, type SettingKey, type Settings } from './catalogue.ts'
import { environmentNameOf, flagOf } from './declare.ts'

/** Where a value came from, as a person would say it: `default`, `labelstream.yaml`, `KAFKA_BROKERS`, `--group`. */
export type Origins = Readonly<Record<SettingKey, string>>

export interface LoadedSettings {
  readonly settings: Settings
  readonly origins: Origins
}

export interface SettingSources {
  /** `--settings FILE`. Without it labelstream.yaml is read where it exists. */
  readonly file?: string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Values given as flags, by setting key. */
  readonly flags: Readonly<Partial<Record<SettingKey, string>>>
}

const defaultFile = 'labelstream.yaml'
const maxFileBytes = 1_048_576
/** Parts of a key; deeper than any. */
const deepestKey = 10

/** Loaded where a file is read: most starts have none, and wait 30 ms less. */
const yamlLibrary = () => createRequire(import.meta.url)('yaml') as typeof Yaml

const isSettingKey = (key: string): key is SettingKey => Object.hasOwn(declarations, key)

/**
 * Defaults, file, environment, flags; later wins.
 * Throws SETTING_UNKNOWN or SETTING_INVALID naming the setting, where it came from and what would be right.
 */
export function loadSettings(sources: SettingSources): LoadedSettings {
  const values: Record<string, unknown> = {}
  const origins: Record<string, string> = {}
  const give = (key: SettingKey, value: unknown, origin: string): void => {
    values[key] = value
    origins[key] = origin
  }
  for (const key of settingKeys) give(key, declarations[key]?.default, 'default')

  const file = sources.file ?? (existsSync(defaultFile) ? defaultFile : undefined)
  if (file !== undefined) {
    for (const [key, value] of flatten(readYaml(file)))
      give(knownKey(key, file), checked(key, value, file), file)
  }
  const byEnvironmentName = new Map(settingKeys.map((key) => [nameInEnvironment(key), key]))
  for (const [name, text] of Object.entries(sources.environment)) {
    if (text === undefined) continue
    const key = byEnvironmentName.get(name)
    if (key !== undefined) give(key, checked(key, fromText(key, text), name), name)
    else if (name.startsWith('LABELSTREAM_'))
      throw unknown(name, 'the environment', [...byEnvironmentName.keys()])
  }
  for (const [key, text] of Object.entries(sources.flags)) {
    if (isSettingKey(key)) give(key, checked(key, fromText(key, text), flagOf(key)), flagOf(key))
  }
  // checked() has parsed every value with the schema of its key
  return {
    settings: Object.freeze(values) as unknown as Settings,
    origins: Object.freeze(origins),
  }
}

const nameInEnvironment = (key: SettingKey): string => {
  const declaration = declarations[key]
  return declaration === undefined ? '' : environmentNameOf(key, declaration)
}

function knownKey(key: string, origin: string): SettingKey {
  if (isSettingKey(key)) return key
  throw unknown(key, origin, settingKeys)
}

function unknown(name: string, origin: string, candidates: readonly string[]): LabelstreamError {
  // no setting has a longer name, and comparing takes as long as the name is
  const start = name.slice(0, 100)
  const nearest = candidates.toSorted((a, b) => distance(start, a) - distance(start, b))[0] ?? ''
  return new LabelstreamError(
    'SETTING_UNKNOWN',
    `unknown setting ${/^[\w.-]{1,100}$/.test(name) ? name : JSON.stringify(start)} in ${origin}; did you mean ${nearest}? \`labelstream settings\` lists all`,
  )
}

/** The value as its schema reads it. Throws SETTING_INVALID; a secret's value is not repeated. */
function checked(key: string, value: unknown, origin: string): unknown {
  const declaration = declarations[key]
  if (declaration === undefined) throw unknown(key, origin, settingKeys)
  const result = declaration.schema.safeParse(value)
  if (result.success) return result.data
  const shown = declaration.secret === true ? 'a secret' : shortened(value)
  const expected = result.error.issues.map(({ message }) => message).join('; ')
  throw new LabelstreamError(
    'SETTING_INVALID',
    `setting ${key} from ${origin}: ${shown} is not valid: ${expected}`,
  )
}

/** For people: not a page long, and without the user and password that an address may hold. */
function shortened(value: unknown): string {
  const text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? typeof value)
  const withoutUser = text.replaceAll(/\/\/[^/"]*@/g, '//…@')
  return withoutUser.length <= 200 ? withoutUser : `${withoutUser.slice(0, 200)}…`
}

/** Environment and flags are text; numbers, booleans and lists are read from it as the schema's type asks. */
function fromText(key: SettingKey, text: string): unknown {
  const kind: z.core.$ZodType['_zod']['def']['type'] | undefined = declarations[key]?.schema.def.type
  if (kind === 'number') return /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text
  if (kind === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (kind === 'array') return text.split(',').map((item) => item.trim())
  return text
}

function readYaml(file: string): unknown {
  const text = readLimited(file)
  const lines = new (yamlLibrary().LineCounter)()
  const refused = (why: string, offset = 0): LabelstreamError => {
    const { line, col } = lines.linePos(offset)
    return new LabelstreamError(
      'SETTING_INVALID',
      `settings file ${file}: not valid YAML at line ${line}, column ${col}: ${why}`,
    )
  }
  try {
    return readDocument(text, lines, refused)
  } catch (error) {
    // RangeError: the stack is full
    throw error instanceof RangeError ? refused('nested too deeply') : error
  }
}

function readDocument(
  text: string,
  lineCounter: Yaml.LineCounter,
  refused: (why: string, offset: number) => LabelstreamError,
): unknown {
  const document = yamlLibrary().parseDocument(text, {
    prettyErrors: false,
    lineCounter,
    logLevel: 'silent',
    // takes minutes for a megabyte of keys; `faultOf` does it
    uniqueKeys: false,
  })
  const fault = document.errors[0] ?? faultOf(document)
  // the parser's own messages quote the file, and a password may stand there
  if (fault !== undefined) throw refused(fault.code, fault.pos[0])
  return document.toJS()
}

interface YamlFault {
  readonly code: string
  readonly pos: readonly [number, ...unknown[]]
}

/** A key that is no name or stands twice in one map, or an alias: settings need none, and they can make a document endless. */
function faultOf(document: Yaml.Document): YamlFault | undefined {
  const { isNode, isScalar, visit } = yamlLibrary()
  let fault: YamlFault | undefined
  const found = (code: string, node: unknown): symbol => {
    fault = { code, pos: [isNode(node) ? (node.range?.[0] ?? 0) : 0] }
    return visit.BREAK
  }
  visit(document, {
    Alias: (_key, node) => found('aliases are not allowed', node),
    Map: (_key, { items }) => {
      const seen = new Set<unknown>()
      for (const { key } of items) {
        // maps as keys of maps: writing each out as a name takes seconds for a few hundred bytes
        if (!isScalar(key)) return found('a key is not a name', key)
        if (seen.has(key.value)) return found('DUPLICATE_KEY', key)
        seen.add(key.value)
      }
      return undefined
    },
  })
  return fault
}

/** Throws FILE_UNREADABLE; reads no more than the limit, whatever the file is. */
function readLimited(file: string): string {
  try {
    const descriptor = openSync(file, 'r')
    try {
      const bytes = Buffer.alloc(maxFileBytes + 1)
      let length = 0
      let more: number
      do {
        more = readSync(descriptor, bytes, length, bytes.length - length, null)
        length += more
      } while (more > 0 && length < bytes.length)
      if (length <= maxFileBytes) return bytes.toString('utf8', 0, length)
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    throw new LabelstreamError('FILE_UNREADABLE', `settings file ${file}: ${messageOf(error)}`, {
      cause: error,
    })
  }
  throw new LabelstreamError('SETTING_INVALID', `settings file ${file}: larger than ${maxFileBytes} bytes`)
}

/** `{ input: { topic: x } }` and `{ 'input.topic': x }` both give `input.topic`. */
function* flatten(node: unknown, prefix = '', depth = 0): Generator<[string, unknown]> {
  if (node === null || node === undefined) return
  if (typeof node !== 'object' || Array.isArray(node) || depth > deepestKey) {
    yield [prefix === '' ? '(the whole file)' : prefix, node]
    return
  }
  for (const [name, value] of Object.entries(node)) {
    const key = prefix === '' ? name : `${prefix}.${name}`
    if (isSettingKey(key)) yield [key, value]
    else yield* flatten(value, key, depth + 1)
  }
}
