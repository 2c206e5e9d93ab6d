/**
 * Every fault the program knows, in one table.
 *
 * disposition says what happens next:
 * - dead-letter: the message can never be scored; it goes to the dead-letter topic with its bytes unchanged.
 * - retry: infrastructure; pause, back off with jitter, keep heartbeats. Never dead-lettered.
 * - restart: the child process is replaced and its work is done again.
 * - refuse: a setting, a model or a request is wrong; the program says what would be right and exits.
 * - stop: the program cannot go on.
 * - gate: a candidate model did not pass; nothing is broken.
 */
export type Disposition = 'dead-letter' | 'retry' | 'restart' | 'refuse' | 'stop' | 'gate'

interface ErrorRow {
  readonly disposition: Disposition
  readonly exitCode: 1 | 2 | 3 | 130
  readonly summary: string
}

const deadLetter = (summary: string): ErrorRow => ({ disposition: 'dead-letter', exitCode: 1, summary })
const retry = (summary: string): ErrorRow => ({ disposition: 'retry', exitCode: 1, summary })
const restart = (summary: string): ErrorRow => ({ disposition: 'restart', exitCode: 1, summary })
const refuse = (summary: string): ErrorRow => ({ disposition: 'refuse', exitCode: 2, summary })
const stop = (summary: string): ErrorRow => ({ disposition: 'stop', exitCode: 1, summary })

export const errorTable = {
  INPUT_NOT_UTF8: deadLetter('The message value is not valid UTF-8.'),
  INPUT_BAD_JSON: deadLetter('The message value is not valid JSON.'),
  INPUT_MISSING_FIELD: deadLetter('The message has no text at the configured place.'),
  INPUT_EMPTY_TEXT: deadLetter('The text is empty.'),
  INPUT_TEXT_TOO_LARGE: deadLetter('The text is larger than the limit.'),
  INPUT_HEADERS_TOO_LARGE: deadLetter('Key and headers are larger than the limit.'),
  INPUT_UNKNOWN_SCHEMA: deadLetter('The Avro schema of the message is unknown.'),
  INPUT_BAD_AVRO: deadLetter('The Avro value does not fit its schema.'),
  INPUT_BAD_LABELS: deadLetter(
    'The labels are neither a list of names nor a map of numbers between 0 and 1.',
  ),
  TEXT_NOT_SCORABLE: deadLetter('Inference fails for this one text.'),

  BROKER_UNREACHABLE: retry('No broker answered.'),
  BROKER_ERROR: retry('A broker refused or dropped a request.'),
  REGISTRY_UNREACHABLE: retry('The schema registry did not answer.'),
  HUB_UNREACHABLE: retry('The model hub did not answer.'),

  INFERENCE_CRASHED: restart('The inference process ended unexpectedly.'),
  INFERENCE_HUNG: restart('The inference process did not answer in time.'),
  INFERENCE_FAILED: restart('The inference session reported an error.'),
  TOKENIZER_FAILED: restart('A tokenising thread ended or reported an error.'),

  USAGE: refuse('The command line is wrong.'),
  SETTING_UNKNOWN: refuse('There is no such setting.'),
  SETTING_INVALID: refuse('A setting has an invalid value.'),
  PREREQUISITE_MISSING: refuse('Something this command needs is not installed.'),
  MODEL_NOT_FOUND: refuse('There is no such model.'),
  MODEL_CORRUPT: refuse('A model file is damaged or differs from its manifest.'),
  MODEL_UNSUPPORTED: refuse('The model cannot be served by this program.'),
  TOPIC_MISSING: refuse('A topic does not exist.'),
  ACCESS_DENIED: refuse('The broker does not allow this.'),
  TLS_FAILED: refuse('No encrypted connection to a broker can be made.'),
  REQUEST_REFUSED: refuse('A broker refused a request as invalid.'),
  RECORD_TOO_LARGE: refuse('A record is larger than its topic takes.'),
  RECORDS_CORRUPT: refuse('Records of a topic cannot be decoded.'),
  AUTHENTICATION_FAILED: refuse('The broker did not accept the credentials.'),
  REGISTRY_REFUSED: refuse('The schema registry refused the request.'),
  HUB_REFUSED: refuse('The model hub refused the request.'),
  DATA_INVALID: refuse('The data cannot be used.'),
  DATA_GONE: refuse('Rows that a data manifest names are no longer there as they were.'),
  FILE_UNREADABLE: refuse('A file cannot be read or written.'),

  GATE_REFUSED: { disposition: 'gate', exitCode: 3, summary: 'The candidate did not pass the gate.' },
  INTERRUPTED: { disposition: 'stop', exitCode: 130, summary: 'Interrupted.' },
  TRAINING_FAILED: stop('The training process ended or reported an error.'),
  AUDIT_FAILED: stop('What was published is not what is promised.'),
  LOCAL_BROKER_FAILED: stop('The local Kafka broker did not start.'),
  INTERNAL: stop('A fault in this program.'),
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof errorTable

/**
 * The one error class. `message` is a single line that names the thing (setting, topic, partition, offset,
 * file) and says what would be right. It never holds a text or a secret.
 */
export class LabelstreamError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(oneLine(message), options)
    this.name = 'LabelstreamError'
    this.code = code
  }

  get disposition(): Disposition {
    return errorTable[this.code].disposition
  }

  get exitCode(): number {
    return errorTable[this.code].exitCode
  }
}

const longestMessage = 1_500

/**
 * Parts of a message come from files and messages (names, a parser's own words): none of them may break a log line,
 * move a terminal's cursor or fill a page.
 */
function oneLine(message: string): string {
  const line = message.replaceAll(/\s*[\p{Cc}\u2028\u2029]+\s*/gu, ' ')
  return line.length <= longestMessage ? line : `${line.slice(0, longestMessage)}…`
}

/** The message of anything thrown, on one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replaceAll(/\s*\n\s*/g, ' ')
}

/** What went wrong with a request: fetch hides the reason (ECONNREFUSED, ENOTFOUND) in its error's cause. */
export function networkProblem(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  if (cause instanceof Error && 'code' in cause) return String(cause.code)
  return messageOf(error)
}

/** The same error when it is one of ours, else an INTERNAL one that keeps it as its cause. */
export function asLabelstreamError(error: unknown): LabelstreamError {
  if (error instanceof LabelstreamError) return error
  return new LabelstreamError('INTERNAL', messageOf(error), { cause: error })
}
