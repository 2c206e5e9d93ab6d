import { LabelstreamError } from '../core/errors.ts'
import { readSecret } from '../core/files.ts'
import { connectKafka, type KafkaClient, type SaslOptions, type SslOptions } from '../kafka/connect.ts'
import type { Settings } from '../settings/catalogue.ts'
import type { Logger } from '../telemetry/log.ts'

const orUndefined = (text: string): string | undefined => (text === '' ? undefined : text)

/**
 * The Kafka client that the settings describe. Throws SETTING_INVALID or FILE_UNREADABLE naming the setting;
 * connects nothing yet.
 */
export function kafkaClientOf(settings: Settings, log: Logger): KafkaClient {
  const ssl = sslOf(settings)
  const sasl = saslOf(settings)
  if (ssl === undefined && (sasl?.mechanism === 'plain' || sasl?.mechanism === 'oauthbearer')) {
    log.warn('the credentials go to the brokers unencrypted: use SASL_SSL', { mechanism: sasl.mechanism })
  }
  return connectKafka({
    brokers: settings['kafka.brokers'],
    clientId: settings['kafka.clientId'],
    ssl,
    sasl,
    connectionTimeoutMs: settings['kafka.connectionTimeoutMs'],
    requestTimeoutMs: settings['kafka.requestTimeoutMs'],
    onLog: (level, message, fields) => {
      // kafkajs calls things errors that it then tries again; what matters reaches the user as an error of ours
      log[level === 'error' ? 'warn' : 'debug'](`kafka: ${message}`, fields as Record<string, string>)
    },
  })
}

function sslOf(settings: Settings): SslOptions | undefined {
  const protocol = settings['kafka.securityProtocol']
  const caFile = orUndefined(settings['kafka.ssl.caFile'])
  const certFile = orUndefined(settings['kafka.ssl.certFile'])
  const keyFile = orUndefined(settings['kafka.ssl.keyFile'])
  const asked = protocol === 'SSL' || protocol === 'SASL_SSL'
  const given = caFile !== undefined || certFile !== undefined
  if (!asked && !(protocol === 'auto' && given)) return undefined
  const passwordFile = orUndefined(settings['kafka.ssl.keyPasswordFile'])
  return {
    caFile,
    certFile,
    keyFile,
    keyPassphrase:
      passwordFile === undefined ? undefined : readSecret('kafka.ssl.keyPasswordFile', passwordFile),
    checkHostname: settings['kafka.ssl.checkHostname'],
  }
}

function saslOf(settings: Settings): SaslOptions | undefined {
  const protocol = settings['kafka.securityProtocol']
  const mechanism = settings['kafka.sasl.mechanism']
  const asked = protocol === 'SASL_PLAINTEXT' || protocol === 'SASL_SSL'
  if (mechanism === '') {
    if (!asked) return undefined
    throw new LabelstreamError(
      'SETTING_INVALID',
      `setting kafka.sasl.mechanism is empty, but kafka.securityProtocol is ${protocol}: set PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER`,
    )
  }
  if (!asked && protocol !== 'auto') return undefined
  if (mechanism === 'OAUTHBEARER') {
    return { mechanism: 'oauthbearer', tokenFile: settings['kafka.sasl.oauthTokenFile'] }
  }
  return {
    mechanism: saslMechanisms[mechanism],
    username: settings['kafka.sasl.username'],
    password: orUndefined(settings['kafka.sasl.password']),
    passwordFile: orUndefined(settings['kafka.sasl.passwordFile']),
  }
}

const saslMechanisms = {
  PLAIN: 'plain',
  'SCRAM-SHA-256': 'scram-sha-256',
  'SCRAM-SHA-512': 'scram-sha-512',
} as const
