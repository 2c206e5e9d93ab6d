import kafkajs from 'kafkajs'
import { withAdmin } from './admin.ts'
import type { KafkaClient } from './connect.ts'
import { protocolErrorType } from './errors.ts'

/**
 * Whether a topic's records are removed for newer ones of their key; false where the user may not ask.
 * Throws what `withAdmin` throws.
 */
export async function isCompacted(client: KafkaClient, topic: string): Promise<boolean> {
  return withAdmin(client, async (admin) => {
    const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configNames: ['cleanup.policy'] }
    const described = await admin
      .describeConfigs({ resources: [resource], includeSynonyms: false })
      .catch((error: unknown) => {
        if (protocolErrorType(error)?.endsWith('AUTHORIZATION_FAILED') === true) return undefined
        throw error
      })
    const policy = described?.resources[0]?.configEntries[0]?.configValue ?? ''
    return policy.split(',').includes('compact')
  })
}
