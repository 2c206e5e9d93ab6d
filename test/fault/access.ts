import kafkajs, { type Admin } from 'kafkajs'
import { withAdmin } from '../../src/kafka/admin.ts'
import type { KafkaClient } from '../../src/kafka/connect.ts'

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs

type AclEntry = Parameters<Admin['createAcls']>[0]['acl'][number]

const rule = (resourceType: number, resourceName: string, operation: number): AclEntry => ({
  resourceType,
  resourceName,
  operation,
  resourcePatternType: ResourcePatternTypes.PREFIXED,
  permissionType: AclPermissionTypes.ALLOW,
  principal: 'User:app',
  host: '*',
})

/** Lets the user `app` do what docs/delivery.md says that a member needs: all its names begin with `prefix`. */
export function allowMembers(client: KafkaClient, prefix: string): Promise<boolean> {
  const acl = [
    rule(AclResourceTypes.TOPIC, prefix, AclOperationTypes.READ),
    rule(AclResourceTypes.TOPIC, prefix, AclOperationTypes.WRITE),
    rule(AclResourceTypes.GROUP, prefix, AclOperationTypes.READ),
    rule(AclResourceTypes.TRANSACTIONAL_ID, `labelstream.${prefix}`, AclOperationTypes.WRITE),
  ]
  return withAdmin(client, (admin) => admin.createAcls({ acl }))
}

const writing = (topic: string): AclEntry => ({
  ...rule(AclResourceTypes.TOPIC, topic, AclOperationTypes.WRITE),
  resourcePatternType: ResourcePatternTypes.LITERAL,
  permissionType: AclPermissionTypes.DENY,
})

/** From now on `app` may not write to the topic, whatever else allows it. */
export function denyWriting(client: KafkaClient, topic: string): Promise<boolean> {
  return withAdmin(client, (admin) => admin.createAcls({ acl: [writing(topic)] }))
}

export async function allowWritingAgain(client: KafkaClient, topic: string): Promise<void> {
  await withAdmin(client, (admin) => admin.deleteAcls({ filters: [writing(topic)] }))
}
