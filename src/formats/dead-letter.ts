import type { LabelstreamError } from '../core/errors.ts'
import type { MessageHeaders, OutgoingMessage, Position, SourceMessage } from './message.ts'

/** Where a message failed. */
export type DeadLetterStage = 'input' | 'tokenize' | 'inference' | 'output'

/** What the headers of a dead letter say. */
export interface DeadLetterReason extends Position {
  readonly stage: string
  readonly code: string
  readonly message: string
}

const prefix = '__connect.errors.'
const names = {
  topic: `${prefix}topic`,
  partition: `${prefix}partition`,
  offset: `${prefix}offset`,
  stage: `${prefix}stage`,
  className: `${prefix}class.name`,
  exceptionClassName: `${prefix}exception.class.name`,
  exceptionMessage: `${prefix}exception.message`,
} as const

/**
 * The dead letter of a message: key, value bytes and headers unchanged, and the reason under Kafka Connect's
 * header names (`exception.class.name` holds the error's code). A message that died before keeps the reasons
 * it had: Kafka allows several values under one name, and the newest is the last, as in Connect.
 */
export function deadLetter(
  message: SourceMessage,
  stage: DeadLetterStage,
  error: LabelstreamError,
): OutgoingMessage {
  const reason: Record<string, string> = {
    [names.topic]: message.topic,
    [names.partition]: String(message.partition),
    [names.offset]: String(message.offset),
    [names.stage]: stage,
    [names.className]: `labelstream.${stage}`,
    [names.exceptionClassName]: error.code,
    [names.exceptionMessage]: error.message,
  }
  const headers: Record<string, MessageHeaders[string]> = { ...message.headers }
  for (const [name, value] of Object.entries(reason)) {
    headers[name] = [...valuesOf(message.headers[name]), Buffer.from(value, 'utf8')]
  }
  return { key: message.key, value: message.value, headers }
}

/** The newest reason in a dead letter's headers; undefined when they are not those of a dead letter. */
export function deadLetterReason(headers: MessageHeaders): DeadLetterReason | undefined {
  const last = (name: string): string | undefined => valuesOf(headers[name]).at(-1)?.toString()
  const topic = last(names.topic)
  const partition = Number(last(names.partition) ?? NaN)
  const offset = Number(last(names.offset) ?? NaN)
  if (topic === undefined || !Number.isSafeInteger(partition) || !Number.isSafeInteger(offset))
    return undefined
  return {
    topic,
    partition,
    offset,
    stage: last(names.stage) ?? '',
    code: last(names.exceptionClassName) ?? '',
    message: last(names.exceptionMessage) ?? '',
  }
}

/**
 * The message as it was before it became a dead letter, for a replay: the newest reason is taken off, and
 * what stood under the same names before it stays.
 */
export function replayedMessage(letter: SourceMessage): OutgoingMessage {
  const headers: Record<string, MessageHeaders[string]> = { ...letter.headers }
  for (const name of Object.values(names)) {
    const earlier = valuesOf(letter.headers[name]).slice(0, -1)
    if (earlier.length > 0) headers[name] = earlier
    else delete headers[name]
  }
  return { key: letter.key, value: letter.value, headers }
}

function valuesOf(value: MessageHeaders[string]): readonly (Buffer | string)[] {
  if (value === undefined) return []
  return Array.isArray(value) ? value : [value]
}
