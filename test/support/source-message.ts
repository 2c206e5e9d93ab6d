import type { SourceMessage } from '../../src/formats/message.ts'

/** A message of texts/3 at offset 42 with this value; a string is UTF-8, an object JSON. */
export function sourceMessage(
  value: Buffer | string | object | null,
  other: Partial<SourceMessage> = {},
): SourceMessage {
  const bytes =
    value === null || Buffer.isBuffer(value)
      ? value
      : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value), 'utf8')
  return {
    topic: 'texts',
    partition: 3,
    offset: 42,
    timestampMs: 1_767_225_600_000,
    key: null,
    value: bytes,
    headers: {},
    ...other,
  }
}
