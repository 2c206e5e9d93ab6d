import { sleep, waitUntil } from '../../../src/core/clock.ts'
import { allowWritingAgain, denyWriting } from '../access.ts'
import type { DeliveryMode } from '../checker.ts'
import type { Fault } from '../fault.ts'
import type { Plan } from '../plan.ts'

const noticePatienceMs = 30_000

/**
 * The user of the members may not write dead letters any more: whoever meets poison ends and says why, and whoever
 * starts is refused, until it is allowed again. What they had in hand is done by those who come then.
 */
const refuse =
  (mode: DeliveryMode): Fault =>
  async (scene) => {
    const job = scene.jobs.find(({ options }) => options.mode === mode)
    const count = job?.running.length ?? 0
    if (job === undefined || count === 0) return false
    const { client } = scene.world
    const topic = job.topics.deadLetters
    scene.note(`writing to ${topic} is denied`)
    await denyWriting(client, topic)
    const struck = await waitUntil(() => job.running.length < count, {
      timeoutMs: noticePatienceMs,
      onTimeout: () => new Error('nobody met poison'),
    }).then(
      () => true,
      () => false,
    )
    if (struck) {
      const ended = job.members.filter((member) => member.endedByItself)
      const clear = ended.every(
        ({ lastLine }) => lastLine.includes('ACCESS_DENIED') && lastLine.includes(topic),
      )
      const said = ended.map(({ lastLine }) => lastLine).join('; ')
      scene.look(job, 'a member that is refused names topic and reason', clear, said)
      const late = job.startMember()
      const { code } = await late.ended(noticePatienceMs)
      const named = code === 2 && late.lastLine.includes('deadLetters.topic')
      scene.look(job, 'a member that starts meanwhile is refused', named, `${code}: ${late.lastLine}`)
    } else scene.note('nobody met poison')
    await sleep(scene.random.integer(2_000))
    await allowWritingAgain(client, topic)
    scene.note(`writing to ${topic} is allowed`)
    const missing = Array.from({ length: count - job.running.length }, () => job.startMember())
    await Promise.all(missing.map((member) => member.assigned()))
    return struck
  }

export const deadLettersRefused: Plan = {
  name: 'dead-letters-refused',
  share: 0.03,
  faults: { refuseAtLeastOnce: refuse('at-least-once'), refuseExactlyOnce: refuse('exactly-once') },
  atLeast: 2,
  world: 'access rules',
  job: { poisonShare: 0.1, mayEndWith: /ACCESS_DENIED/ },
}
