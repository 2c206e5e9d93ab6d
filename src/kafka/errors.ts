import { type ErrorCode, LabelstreamError, messageOf } from '../core/errors.ts'

/** What was being done when kafkajs failed; the message names it. */
export interface KafkaErrorContext {
  readonly brokers: readonly string[]
  /** "reading topic texts", "committing offsets". */
  readonly doing: string
  readonly topic?: string | undefined
  readonly group?: string | undefined
}

/** Thrown by our codecs for bytes that are not what they say they are; kafkajs must not retry it. */
export class CorruptRecordsError extends Error {
  readonly retriable = false

  constructor(message: string) {
    super(message)
    this.name = 'CorruptRecordsError'
  }
}

/** The parts of kafkajs's errors that say what happened. They differ by class, so they are read by shape. */
interface Fault {
  readonly name: string
  readonly type: string | undefined
  readonly code: string | number | undefined
  readonly message: string
}

const unreachableNames = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSBrokerNotFound',
  'KafkaJSNoBrokerAvailableError',
  'KafkaJSLockTimeout',
])

const authenticationTypes = new Set([
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'ILLEGAL_SASL_STATE',
])

/** Asking again cannot help: what was asked is wrong. */
const invalidTypes = new Set([
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
  'INVALID_TOPIC_EXCEPTION',
  'INVALID_PARTITIONS',
  'INVALID_REPLICATION_FACTOR',
  'INVALID_CONFIG',
  'INVALID_GROUP_ID',
  'INVALID_SESSION_TIMEOUT',
  'INVALID_REQUEST',
  'INCONSISTENT_GROUP_PROTOCOL',
  'NON_EMPTY_GROUP',
  'POLICY_VIOLATION',
  'UNSUPPORTED_COMPRESSION_TYPE',
  'UNSUPPORTED_VERSION',
])

const tooLargeTypes = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])

/** The one translation of kafkajs's errors into ours. An error of ours passes unchanged. */
export function kafkaError(error: unknown, context: KafkaErrorContext): LabelstreamError {
  const chain = causesOf(error)
  const own = chain.find((link) => link instanceof LabelstreamError)
  if (own !== undefined) return own
  const faults = chain.map(faultOf)
  const row = firstRow(faults, context)
  return new LabelstreamError(row.code, row.message.replaceAll(/\s*\n\s*/g, ' '), { cause: error })
}

/** kafkajs's protocol error type ("REBALANCE_IN_PROGRESS"), wherever in the chain of causes it stands. */
export function protocolErrorType(error: unknown): string | undefined {
  return causesOf(error)
    .map(faultOf)
    .find((fault) => fault.type !== undefined)?.type
}

const coordinatorMoves = new Set([
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
])

/** Whether the group's coordinator is being chosen or still loading: it will answer in a moment. */
export function coordinatorIsMoving(error: unknown): boolean {
  return coordinatorMoves.has(protocolErrorType(error) ?? '')
}

const leaderMoves = new Set(['NOT_LEADER_FOR_PARTITION', 'LEADER_NOT_AVAILABLE'])

/** Whether a partition's leader is being chosen, or the broker that was asked does not know yet that it is the one. */
export function leaderIsMoving(error: unknown): boolean {
  return leaderMoves.has(protocolErrorType(error) ?? '')
}

interface Row {
  readonly code: ErrorCode
  readonly message: string
}

function firstRow(faults: readonly Fault[], context: KafkaErrorContext): Row {
  for (const fault of faults) {
    const row = knownRow(fault, context)
    if (row !== undefined) return row
  }
  const deepest = faults.at(-1)
  return {
    code: 'BROKER_ERROR',
    message: `${context.doing}: ${deepest?.type ?? ''} ${deepest?.message ?? ''}`.trim(),
  }
}

function knownRow(fault: Fault, context: KafkaErrorContext): Row | undefined {
  const { doing, topic, group } = context
  const brokers = context.brokers.join(', ')
  if (fault.name === 'CorruptRecordsError') {
    return { code: 'RECORDS_CORRUPT', message: `${doing}: ${fault.message}` }
  }
  if (fault.name === 'KafkaJSNotImplemented') {
    return {
      code: 'RECORDS_CORRUPT',
      message: `${doing}: a record batch is compressed in an unknown way (${fault.message})`,
    }
  }
  if (fault.name === 'KafkaJSSASLAuthenticationError' || authenticationTypes.has(fault.type ?? '')) {
    return {
      code: 'AUTHENTICATION_FAILED',
      message: `${brokers} did not accept the credentials: check kafka.sasl.mechanism, kafka.sasl.username and the password (or the token)`,
    }
  }
  if (isTlsFault(fault)) {
    return {
      code: 'TLS_FAILED',
      message: `no encrypted connection to ${brokers}: ${fault.message}; check kafka.ssl.caFile, that the port speaks TLS, and kafka.ssl.certFile where the broker asks for a client's certificate`,
    }
  }
  switch (fault.type) {
    case 'TOPIC_AUTHORIZATION_FAILED':
      return {
        code: 'ACCESS_DENIED',
        message: `${doing}: the broker denies access to topic ${topic ?? '(unknown)'}`,
      }
    case 'GROUP_AUTHORIZATION_FAILED':
      return {
        code: 'ACCESS_DENIED',
        message: `${doing}: the broker denies access to group ${group ?? '(unknown)'}`,
      }
    case 'CLUSTER_AUTHORIZATION_FAILED':
      return { code: 'ACCESS_DENIED', message: `${doing}: the broker denies this operation on the cluster` }
    case 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED':
      return { code: 'ACCESS_DENIED', message: `${doing}: the broker denies the transactional id` }
    case 'UNKNOWN_TOPIC_OR_PARTITION':
      return { code: 'TOPIC_MISSING', message: topicMissing(topic ?? '(unknown)', brokers) }
    case undefined:
      break
    default:
      if (invalidTypes.has(fault.type)) {
        return { code: 'REQUEST_REFUSED', message: `${doing}: ${fault.type}: ${fault.message}` }
      }
      if (tooLargeTypes.has(fault.type)) {
        return {
          code: 'RECORD_TOO_LARGE',
          message: `${doing}: a record is larger than topic ${topic ?? '(unknown)'} takes; raise its max.message.bytes`,
        }
      }
  }
  if (unreachableNames.has(fault.name)) {
    return {
      code: 'BROKER_UNREACHABLE',
      message: `no answer from ${brokers} (${doing}; check kafka.brokers, KAFKA_BROKERS): ${fault.message}`,
    }
  }
  return undefined
}

/** What to say, and what to do, about a topic that is not there. */
export function topicMissing(topic: string, brokers: string): string {
  return `topic ${topic} does not exist on ${brokers}: create it with \`labelstream topics create\``
}

const tlsCodes =
  /^(ERR_SSL_|ERR_TLS_|EPROTO$|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(GET|VERIFY)_|HOSTNAME_MISMATCH$)/

function isTlsFault(fault: Fault): boolean {
  return typeof fault.code === 'string' && tlsCodes.test(fault.code)
}

function causesOf(error: unknown): unknown[] {
  const chain: unknown[] = []
  const visit = (link: unknown): void => {
    if (link === undefined || link === null || chain.includes(link) || chain.length > 20) return
    chain.push(link)
    if (typeof link !== 'object') return
    if ('errors' in link && Array.isArray(link.errors)) link.errors.forEach(visit)
    if ('groups' in link && Array.isArray(link.groups)) {
      link.groups.forEach((group: unknown) => {
        if (typeof group === 'object' && group !== null && 'error' in group) visit(group.error)
      })
    }
    if ('cause' in link) visit(link.cause)
  }
  visit(error)
  return chain
}

function faultOf(error: unknown): Fault {
  const fields: { name?: unknown; type?: unknown; code?: unknown } =
    typeof error === 'object' && error !== null ? error : {}
  return {
    name: typeof fields.name === 'string' ? fields.name : '',
    type: typeof fields.type === 'string' ? fields.type : undefined,
    code: typeof fields.code === 'string' || typeof fields.code === 'number' ? fields.code : undefined,
    message: messageOf(error),
  }
}
