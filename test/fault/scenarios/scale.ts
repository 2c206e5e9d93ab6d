import { sleep } from '../../../src/core/clock.ts'
import { type Fault, pick } from '../fault.ts'
import type { Plan } from '../plan.ts'

/** Members come, and leave in order. */
export const changeScale: Fault = async (scene) => {
  const job = pick(scene.random, scene.jobs)
  if (job === undefined) return false
  const before = job.running.length
  const wanted =
    pick(
      scene.random,
      [1, 2, 4].filter((count) => count !== before),
    ) ?? 2
  scene.note(`${job.group} goes from ${before} to ${wanted} members`)
  while (job.running.length < wanted) job.startMember()
  const leaving = job.running.slice(wanted)
  for (const member of leaving) member.signal('SIGTERM')
  await Promise.all(leaving.map((member) => member.ended(40_000)))
  return true
}

/** A member that dies while it joins, or soon after. */
const joinAndDie: Fault = async (scene) => {
  const job = pick(scene.random, scene.jobs)
  if (job === undefined) return false
  scene.note(`a member joins ${job.group} and dies`)
  const brief = job.startMember()
  await sleep(1_500 + scene.random.integer(1_500))
  await brief.kill()
  await scene.checkNow(job)
  return true
}

/** One, two and four members, changing every few seconds. */
export const scale: Plan = { name: 'scale', share: 0.08, faults: { changeScale, joinAndDie } }
