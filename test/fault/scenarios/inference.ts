import { sleep } from '../../../src/core/clock.ts'
import { type Fault, someMember } from '../fault.ts'
import { killQuietly } from '../member.ts'
import type { Plan } from '../plan.ts'

export const killInference: Fault = async (scene) => {
  const found = someMember(scene)
  const pid = found?.member.inferencePid
  if (pid === undefined) return false
  scene.note(`kill -9 the inference process of ${found?.job.group ?? ''}`)
  killQuietly(pid, 'SIGKILL')
  await sleep(500)
  return true
}

/** The member takes it for hung, kills and replaces it. */
export const freezeInference: Fault = async (scene) => {
  const found = someMember(scene)
  const pid = found?.member.inferencePid
  if (pid === undefined) return false
  scene.note(`SIGSTOP the inference process of ${found?.job.group ?? ''}`)
  killQuietly(pid, 'SIGSTOP')
  await sleep(4_000)
  killQuietly(pid, 'SIGCONT')
  return true
}

/** Inference processes crash and hang. */
export const inference: Plan = {
  name: 'inference',
  share: 0.06,
  faults: { killInference, freezeInference },
  job: { settings: { 'stream.cacheEntries': 0 } },
}
