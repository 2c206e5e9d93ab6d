import { sleep } from '../../../src/core/clock.ts'
import { type Fault, pick, type Scene, someMember } from '../fault.ts'
import type { Job } from '../job.ts'
import type { Plan } from '../plan.ts'

/** Longer than the members' session timeout: by then their partitions belong to others. */
const beyondSessionMs = 9_000

async function killOne(scene: Scene, job: Job | undefined): Promise<boolean> {
  const member = pick(scene.random, job?.running ?? [])
  if (job === undefined || member === undefined) return false
  scene.note(`kill -9 a member of ${job.group}`)
  await member.kill()
  await scene.checkNow(job)
  await job.startMember().assigned()
  return true
}

export const killMember: Fault = (scene) => killOne(scene, pick(scene.random, scene.jobs))

export const killMemberOfEach: Fault = async (scene) => {
  const killed = await Promise.all(scene.jobs.map((job) => killOne(scene, job)))
  return killed.some(Boolean)
}

/** All members of one job: nobody is left to finish anything. */
export const killAll: Fault = async (scene) => {
  const job = pick(scene.random, scene.jobs)
  const count = job?.running.length ?? 0
  if (job === undefined || count === 0) return false
  scene.note(`kill -9 all ${count} members of ${job.group}`)
  await job.kill()
  await scene.checkNow(job)
  const started = Array.from({ length: count }, () => job.startMember())
  await Promise.all(started.map((member) => member.assigned()))
  return true
}

export const freezeMember: Fault = async (scene) => {
  const found = someMember(scene)
  if (found === undefined) return false
  scene.note(`SIGSTOP a member of ${found.job.group} for ${beyondSessionMs} ms`)
  found.member.signal('SIGSTOP')
  await sleep(beyondSessionMs)
  found.member.signal('SIGCONT')
  await sleep(1_000)
  return true
}

/** Members are killed at any moment, and frozen until their partitions belong to others. */
export const processes: Plan = {
  name: 'processes',
  share: 0.12,
  faults: { killMember, killAll, freezeMember },
}
