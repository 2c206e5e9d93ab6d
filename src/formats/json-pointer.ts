import { LabelstreamError } from '../core/errors.ts'

/** The reference tokens of a JSON pointer (RFC 6901). `''` is the whole document. */
export type JsonPointer = readonly string[]

/** Throws SETTING_INVALID naming `setting` when `text` is not a JSON pointer. */
export function parseJsonPointer(text: string, setting = 'a JSON pointer'): JsonPointer {
  if (text === '') return []
  if (!text.startsWith('/') || /~(?![01])/.test(text)) {
    throw new LabelstreamError(
      'SETTING_INVALID',
      `${setting} is ${JSON.stringify(text)}, but a JSON pointer starts with / and writes ~ as ~0 and / as ~1, like /message/text`,
    )
  }
  return text
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** The value the pointer names, or undefined. Looks at own properties only, so `/__proto__` finds nothing. */
export function lookUp(document: unknown, pointer: JsonPointer): unknown {
  let value = document
  for (const token of pointer) {
    if (typeof value !== 'object' || value === null) return undefined
    if (Array.isArray(value) && !/^(0|[1-9]\d*)$/.test(token)) return undefined
    if (!Object.hasOwn(value, token)) return undefined
    value = (value as Record<string, unknown>)[token]
  }
  return value
}

const pointers = new Map<string, JsonPointer>()

/** The parsed pointer; there are as few as there are settings, so all are kept. */
export function pointerOf(text: string): JsonPointer {
  const known = pointers.get(text)
  if (known !== undefined) return known
  const pointer = parseJsonPointer(text)
  pointers.set(text, pointer)
  return pointer
}
