import type { MessageHeaders } from './message.ts'

/** version-traceid-parentid-flags, lower-case hexadecimal. Source: W3C Trace Context, 3.2. */
const traceparentPattern = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** The message's trace context, or undefined when there is none or it is not valid (then W3C says: ignore it). */
export function traceparentOf(headers: MessageHeaders): string | undefined {
  const values = headers['traceparent']
  const value = Array.isArray(values) ? values.at(-1) : values
  const text = value?.toString()
  return text !== undefined && traceparentPattern.test(text) ? text : undefined
}
