import { sleep, waitUntil } from '../../../src/core/clock.ts'
import { asLabelstreamError } from '../../../src/core/errors.ts'
import { createTopics, withAdmin } from '../../../src/kafka/admin.ts'
import type { KafkaClient } from '../../../src/kafka/connect.ts'
import type { DeliveryMode } from '../checker.ts'
import type { Fault } from '../fault.ts'
import { deadLetterPartitions } from '../job.ts'
import type { Plan } from '../plan.ts'

/** Less than a member waits for a topic that was there. */
const noticePatienceMs = 50_000
const burstMessages = 120

/**
 * The topic of dead letters is deleted, before there are any in it, and the next messages are poison: members wait,
 * say for what, and go on when it is there again.
 */
const deleteTopic =
  (mode: DeliveryMode): Fault =>
  async (scene) => {
    const job = scene.jobs.find(({ options }) => options.mode === mode)
    // what is in it is needed later
    if (job === undefined || job.poisonShare > 0) return false
    const { client } = scene.world
    const topic = job.topics.deadLetters
    scene.note(`topic ${topic} is deleted`)
    await removeTopic(client, topic)
    job.poisonShare = 0.2
    await job.burst(burstMessages)
    const said = await waitUntil(() => job.running.some(({ log }) => saysMissing(log, topic)), {
      timeoutMs: noticePatienceMs,
      onTimeout: () => new Error('nobody said so'),
    }).then(
      () => true,
      () => false,
    )
    scene.look(job, 'members say which topic is missing', said, 'nobody did')
    await sleep(1_000 + scene.random.integer(4_000))
    await createTopics(client, [{ topic, partitions: deadLetterPartitions }])
    scene.note(`topic ${topic} is there again`)
    return true
  }

async function removeTopic(client: KafkaClient, topic: string): Promise<void> {
  try {
    await withAdmin(client, (admin) => admin.deleteTopics({ topics: [topic] }))
  } catch (error) {
    // kafkajs asks again when a busy cluster takes its time, and by then it is gone
    if (asLabelstreamError(error).code !== 'TOPIC_MISSING') throw error
  }
}

const saysMissing = (log: string, topic: string): boolean =>
  log.split('\n').some((line) => line.includes('TOPIC_MISSING') && line.includes(topic))

export const deadLettersMissing: Plan = {
  name: 'dead-letters-missing',
  share: 0.03,
  faults: { deleteAtLeastOnce: deleteTopic('at-least-once'), deleteExactlyOnce: deleteTopic('exactly-once') },
  atLeast: 2,
  job: { poisonShare: 0 },
}
