import type { LocalCredentials, LocalSecurity } from './local-security.ts'

/** The three ports of a node, all on 127.0.0.1. */
export interface NodePorts {
  /** For clients, with the chosen security. */
  readonly client: number
  /** Between controllers. */
  readonly controller: number
  /** Between brokers and for readiness checks: always without security, always a super user. */
  readonly internal: number
}

export interface NodeConfigInput {
  readonly nodeId: number
  readonly allPorts: readonly NodePorts[]
  readonly dataFolder: string
  readonly security: LocalSecurity
  readonly credentials: LocalCredentials | undefined
}

/** server.properties of one combined controller and broker, made small and quick for tests and the demo. */
export function serverProperties(input: NodeConfigInput): string {
  const ports = input.allPorts[input.nodeId - 1]
  if (ports === undefined) throw new RangeError(`no ports for node ${input.nodeId}`)
  const nodes = input.allPorts.length
  const factor = nodes === 1 ? 1 : 3
  const minIsr = nodes === 1 ? 1 : 2
  const listeners = [
    `CLIENT://127.0.0.1:${ports.client}`,
    `INTERNAL://127.0.0.1:${ports.internal}`,
    `CONTROLLER://127.0.0.1:${ports.controller}`,
  ]
  const properties: Record<string, string | number> = {
    'process.roles': 'broker,controller',
    'node.id': input.nodeId,
    'controller.quorum.voters': input.allPorts
      .map(({ controller }, index) => `${index + 1}@127.0.0.1:${controller}`)
      .join(','),
    listeners: listeners.join(','),
    'advertised.listeners': `CLIENT://${clientHosts[input.security]}:${ports.client},${listeners[1] ?? ''}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'INTERNAL',
    'listener.security.protocol.map': `CLIENT:${clientProtocols[input.security]},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT`,
    'log.dirs': input.dataFolder,
    'auto.create.topics.enable': 'false',
    'default.replication.factor': factor,
    'min.insync.replicas': minIsr,
    'offsets.topic.replication.factor': factor,
    'offsets.topic.num.partitions': 8,
    'transaction.state.log.replication.factor': factor,
    'transaction.state.log.min.isr': minIsr,
    'transaction.state.log.num.partitions': 8,
    'share.coordinator.state.topic.replication.factor': factor,
    'share.coordinator.state.topic.min.isr': minIsr,
    'group.initial.rebalance.delay.ms': 0,
    'log.segment.bytes': 16_777_216,
    'log.cleaner.dedupe.buffer.size': 16_777_216,
    'log.cleaner.backoff.ms': 500,
    ...(nodes === 1 ? quickRestart : quickFailover),
    ...securityProperties(input),
  }
  return Object.entries(properties)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

const clientProtocols: Readonly<Record<LocalSecurity, string>> = {
  none: 'PLAINTEXT',
  ssl_client_certificate: 'SSL',
  sasl_ssl: 'SASL_SSL',
  sasl_ssl_acl: 'SASL_SSL',
}

/** The name under which clients reach a broker. */
export const clientHosts: Readonly<Record<LocalSecurity, string>> = {
  none: '127.0.0.1',
  ssl_client_certificate: 'localhost',
  sasl_ssl: '127.0.0.1',
  sasl_ssl_acl: '127.0.0.1',
}

/** A killed broker may register again only when its old session is over. */
const quickRestart = { 'broker.session.timeout.ms': 3_000, 'broker.heartbeat.interval.ms': 500 }

/** Notices a dead node in seconds instead of the half minute that is right for a real cluster. */
const quickFailover = {
  'broker.session.timeout.ms': 6_000,
  'broker.heartbeat.interval.ms': 1_000,
  'controller.quorum.election.timeout.ms': 1_000,
  'controller.quorum.fetch.timeout.ms': 2_000,
  'replica.lag.time.max.ms': 6_000,
}

function securityProperties({ security, credentials }: NodeConfigInput): Record<string, string> {
  if (security === 'none' || credentials === undefined) return {}
  const listener = 'listener.name.client'
  const tls = {
    [`${listener}.ssl.keystore.type`]: 'PEM',
    [`${listener}.ssl.keystore.location`]: credentials.keystoreFile,
  }
  if (security === 'ssl_client_certificate') {
    return {
      ...tls,
      [`${listener}.ssl.client.auth`]: 'required',
      [`${listener}.ssl.truststore.type`]: 'PEM',
      [`${listener}.ssl.truststore.location`]: credentials.caFile,
    }
  }
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;'
  const { admin, app } = credentials.users
  const properties = {
    ...tls,
    [`${listener}.sasl.enabled.mechanisms`]: 'SCRAM-SHA-256,SCRAM-SHA-512,PLAIN,OAUTHBEARER',
    [`${listener}.oauthbearer.sasl.jaas.config`]:
      'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="admin";',
    [`${listener}.scram-sha-256.sasl.jaas.config`]: scram,
    [`${listener}.scram-sha-512.sasl.jaas.config`]: scram,
    [`${listener}.plain.sasl.jaas.config`]: `org.apache.kafka.common.security.plain.PlainLoginModule required user_admin="${admin}" user_app="${app}";`,
  }
  if (security === 'sasl_ssl') return properties
  return {
    ...properties,
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    // the plain listeners are the brokers' own
    'super.users': 'User:admin;User:ANONYMOUS',
  }
}

/** Arguments of `kafka.tools.StorageTool format` that make the users. */
export function scramArguments(credentials: LocalCredentials | undefined): string[] {
  if (credentials === undefined) return []
  return Object.entries(credentials.users).flatMap(([name, password]) =>
    ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
      '--add-scram',
      `${mechanism}=[name=${name},password=${password}]`,
    ]),
  )
}
