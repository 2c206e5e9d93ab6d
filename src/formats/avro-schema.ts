import { LabelstreamError } from '../core/errors.ts'

const primitives = ['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'] as const
export type AvroPrimitive = (typeof primitives)[number]

/** A parsed Avro schema. Names are full names and references are resolved, so a recursive schema is a cycle. */
export type AvroSchema =
  | { readonly kind: AvroPrimitive }
  | {
      readonly kind: 'record'
      readonly name: string
      readonly fields: readonly { readonly name: string; readonly type: AvroSchema }[]
    }
  | { readonly kind: 'enum'; readonly name: string; readonly symbols: readonly string[] }
  | { readonly kind: 'fixed'; readonly name: string; readonly sizeBytes: number }
  | { readonly kind: 'array'; readonly items: AvroSchema }
  | { readonly kind: 'map'; readonly values: AvroSchema }
  | { readonly kind: 'union'; readonly branches: readonly AvroSchema[] }

const namePattern = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/

/**
 * Parses the JSON text of an Avro schema. Attributes that do not matter for reading bytes (doc, default,
 * aliases, order, logicalType) are dropped. `names` may hold types that the schema refers to; the types it
 * defines are added to it. Throws INPUT_UNKNOWN_SCHEMA naming `origin` when it is not a valid schema.
 */
export function parseAvroSchema(
  text: string,
  origin: string,
  names = new Map<string, AvroSchema>(),
): AvroSchema {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    // a registry may hold a bare primitive without quotes
    json = text.trim()
  }
  try {
    checkNesting(json)
    return parse(json, '', names)
  } catch (error) {
    if (!(error instanceof SchemaFault)) throw error
    throw new LabelstreamError(
      'INPUT_UNKNOWN_SCHEMA',
      `${origin} is not a valid Avro schema: ${error.message}`,
    )
  }
}

class SchemaFault extends Error {}

/** JSON within JSON; three levels make a record in a record. */
const maxNesting = 200

/** What walks over a schema afterwards recurses. Level by level, so that this does not. */
function checkNesting(json: unknown): void {
  let level: unknown[] = [json]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxNesting) throw new SchemaFault('it is nested too deeply')
    level = level.flatMap((value) =>
      typeof value === 'object' && value !== null ? (Object.values(value) as unknown[]) : [],
    )
  }
}

function parse(json: unknown, namespace: string, names: Map<string, AvroSchema>): AvroSchema {
  if (typeof json === 'string') return byName(json, namespace, names)
  if (Array.isArray(json)) {
    return { kind: 'union', branches: json.map((branch: unknown) => parse(branch, namespace, names)) }
  }
  if (typeof json !== 'object' || json === null) throw new SchemaFault('a type is missing')
  const schema = json as Record<string, unknown>
  switch (schema['type']) {
    case 'array':
      return { kind: 'array', items: parse(schema['items'], namespace, names) }
    case 'map':
      return { kind: 'map', values: parse(schema['values'], namespace, names) }
    case 'record':
    case 'error':
    case 'enum':
    case 'fixed':
      return parseNamed(schema, schema['type'], namespace, names)
    default:
      // { "type": "long", "logicalType": ... } and { "type": { "type": "array", ... } } both occur
      return parse(schema['type'], namespace, names)
  }
}

function byName(name: string, namespace: string, names: Map<string, AvroSchema>): AvroSchema {
  const primitive = primitives.find((known) => known === name)
  if (primitive !== undefined) return { kind: primitive }
  const found = names.get(fullName(name, namespace)) ?? names.get(name)
  if (found === undefined) throw new SchemaFault(`the type ${JSON.stringify(name)} is not defined`)
  return found
}

function parseNamed(
  schema: Record<string, unknown>,
  kind: 'record' | 'error' | 'enum' | 'fixed',
  outerNamespace: string,
  names: Map<string, AvroSchema>,
): AvroSchema {
  const { name: ownName, namespace: ownNamespace } = schema
  const name =
    typeof ownName === 'string'
      ? fullName(ownName, typeof ownNamespace === 'string' ? ownNamespace : outerNamespace)
      : ''
  if (!namePattern.test(name)) throw new SchemaFault(`a type of kind ${kind} has no valid name`)
  const add = <T extends AvroSchema>(node: T): T => {
    if (names.has(name)) throw new SchemaFault(`the type ${name} is defined twice`)
    names.set(name, node)
    return node
  }
  if (kind === 'enum') {
    const symbols = list(schema['symbols'], `the symbols of ${name}`)
    const isText = (symbol: unknown): symbol is string => typeof symbol === 'string'
    if (!symbols.every(isText)) throw new SchemaFault(`a symbol of ${name} is no text`)
    return add({ kind, name, symbols })
  }
  if (kind === 'fixed') {
    const { size } = schema
    const sizeBytes = typeof size === 'string' || typeof size === 'number' ? Number(size) : NaN
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0)
      throw new SchemaFault(`the size of ${name} is wrong`)
    return add({ kind, name, sizeBytes })
  }
  const fields: { name: string; type: AvroSchema }[] = []
  // known by its name before its fields are parsed: a record may contain itself
  const record = add({ kind: 'record', name, fields })
  const namespace = name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : ''
  for (const field of list(schema['fields'], `the fields of ${name}`)) {
    const { name: fieldName, type } = (field ?? {}) as Record<string, unknown>
    if (typeof fieldName !== 'string') throw new SchemaFault(`a field of ${name} has no name`)
    fields.push({ name: fieldName, type: parse(type, namespace, names) })
  }
  return record
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new SchemaFault(`${what} are not a list`)
  return value
}

function fullName(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
}

/**
 * Parsing Canonical Form: the shortest JSON of everything that matters for reading bytes.
 * Source: Avro 1.12 specification, "Parsing Canonical Form for Schemas".
 */
export function canonicalForm(schema: AvroSchema): string {
  const defined = new Set<string>()
  const write = (node: AvroSchema): string => {
    if ('name' in node) {
      if (defined.has(node.name)) return JSON.stringify(node.name)
      defined.add(node.name)
    }
    switch (node.kind) {
      case 'record': {
        const fields = node.fields.map(
          (field) => `{"name":${JSON.stringify(field.name)},"type":${write(field.type)}}`,
        )
        return `{"name":${JSON.stringify(node.name)},"type":"record","fields":[${fields.join(',')}]}`
      }
      case 'enum':
        return `{"name":${JSON.stringify(node.name)},"type":"enum","symbols":${JSON.stringify(node.symbols)}}`
      case 'fixed':
        return `{"name":${JSON.stringify(node.name)},"type":"fixed","size":${String(node.sizeBytes)}}`
      case 'array':
        return `{"type":"array","items":${write(node.items)}}`
      case 'map':
        return `{"type":"map","values":${write(node.values)}}`
      case 'union':
        return `[${node.branches.map(write).join(',')}]`
      case 'null':
      case 'boolean':
      case 'int':
      case 'long':
      case 'float':
      case 'double':
      case 'bytes':
      case 'string':
        return `"${node.kind}"`
    }
  }
  return write(schema)
}
