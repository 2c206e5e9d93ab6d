import { LabelstreamError } from '../core/errors.ts'
import { checkTopics, createTopics, type TopicCheck } from '../kafka/admin.ts'
import type { Settings } from '../settings/catalogue.ts'
import type { CommandSpec } from './command.ts'
import { kafkaClientOf } from './kafka-client.ts'
import { numberOption, table } from './output.ts'

const topicSettings = ['input.topic', 'output.topic', 'deadLetters.topic', 'labels.topic'] as const

/** What `run` does with each topic, and so what it must be allowed to do. */
const needs: Readonly<Record<(typeof topicSettings)[number], 'read' | 'write'>> = {
  'input.topic': 'read',
  'output.topic': 'write',
  'deadLetters.topic': 'write',
  'labels.topic': 'read',
}

const shown = (allowed: boolean | undefined): string =>
  allowed === undefined ? 'unknown' : allowed ? 'yes' : 'no'

/** What is wrong with a topic, said with its setting and what to do; undefined when nothing is. */
function faultOf(check: TopicCheck, setting: (typeof topicSettings)[number]): LabelstreamError | undefined {
  const need = needs[setting]
  const allowed = need === 'read' ? check.canRead : check.canWrite
  if (allowed === false) {
    const operation = need === 'read' ? 'Read' : 'Write'
    return new LabelstreamError(
      'ACCESS_DENIED',
      `no permission to ${need} topic ${check.topic} (setting ${setting}): allow ${operation} and Describe on Topic:${check.topic} for this user`,
    )
  }
  if (!check.exists) {
    return new LabelstreamError(
      'TOPIC_MISSING',
      `topic ${check.topic} (setting ${setting}) does not exist: create it with \`labelstream topics create\``,
    )
  }
  return undefined
}

/** Throws TOPIC_MISSING or ACCESS_DENIED for the first of the topics that cannot be used. */
export async function requireTopics(
  client: ReturnType<typeof kafkaClientOf>,
  settings: Settings,
  which: readonly (typeof topicSettings)[number][],
): Promise<void> {
  const checks = await checkTopics(
    client,
    which.map((setting) => settings[setting]),
  )
  for (const [index, setting] of which.entries()) {
    const check = checks[index]
    const fault = check === undefined ? undefined : faultOf(check, setting)
    if (fault !== undefined) throw fault
  }
}

/** What a topic needs beyond the cluster's defaults. */
function topicConfig(settings: Settings, topic: string): Record<string, string> {
  // the latest record of a key is what counts when labels are corrected
  if (topic === settings['labels.topic']) return { 'cleanup.policy': 'compact' }
  // a message of the largest size that brokers take by default grows by the headers that say why it is dead
  if (topic === settings['deadLetters.topic']) return { 'max.message.bytes': '16777216' }
  return {}
}

const partitionLimits = { min: 1, max: 10_000, integer: true }

export const topicsCreate: CommandSpec = {
  name: 'topics create',
  summary: 'create the topics that do not exist yet',
  options: [
    { flags: '--partitions <count>', help: 'partitions of each new topic (default 4)' },
    { flags: '--replication-factor <count>', help: "copies of each partition (default: the cluster's)" },
  ],
  settings: [...topicSettings, 'kafka.'],
  run: async (context, _positional, options) => {
    const partitions = numberOption(options, 'partitions', partitionLimits) ?? 4
    const replicationFactor = numberOption(options, 'replicationFactor', { ...partitionLimits, max: 100 })
    const client = kafkaClientOf(context.settings, context.log)
    const topics = topicSettings.map((setting) => context.settings[setting])
    const created = await createTopics(
      client,
      topics.map((topic) => ({
        topic,
        partitions,
        replicationFactor,
        config: topicConfig(context.settings, topic),
      })),
    )
    context.printJson({ created, existed: topics.filter((topic) => !created.includes(topic)) })
    for (const topic of topics)
      context.print(`${topic}: ${created.includes(topic) ? 'created' : 'stands already'}`)
  },
}

export const topicsCheck: CommandSpec = {
  name: 'topics check',
  summary: 'check that the topics exist and may be used',
  settings: [...topicSettings, 'kafka.'],
  run: async (context) => {
    const client = kafkaClientOf(context.settings, context.log)
    const checks = await checkTopics(
      client,
      topicSettings.map((setting) => context.settings[setting]),
    )
    context.printJson({ topics: checks })
    const rows = checks.map((check) => [
      check.topic,
      check.exists ? check.partitions : 'missing',
      shown(check.canRead),
      shown(check.canWrite),
    ])
    context.print(table(['Topic', 'Partitions', 'Read', 'Write'], rows))
    for (const [index, setting] of topicSettings.entries()) {
      const check = checks[index]
      const fault = check === undefined ? undefined : faultOf(check, setting)
      if (fault !== undefined) throw fault
    }
  },
}
