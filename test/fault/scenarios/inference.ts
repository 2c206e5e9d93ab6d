import { sleep } from '../../../src/core/clock.ts'
import { type Fault, pick, type Scene, someMember } from '../fault.ts'
import { killQuietly } from '../member.ts'
import type { Plan } from '../plan.ts'

function someInference(scene: Scene): { pid: number; group: string } | undefined {
  const found = someMember(scene)
  const pid = pick(scene.random, found?.member.inferencePids ?? [])
  return found === undefined || pid === undefined ? undefined : { pid, group: found.job.group }
}

export const killInference: Fault = async (scene) => {
  const found = someInference(scene)
  if (found === undefined) return false
  const { pid, group } = found
  scene.note(`kill -9 an inference process of ${group}`)
  killQuietly(pid, 'SIGKILL')
  await sleep(500)
  return true
}

/** The member takes it for hung, kills and replaces it. */
export const freezeInference: Fault = async (scene) => {
  const found = someInference(scene)
  if (found === undefined) return false
  const { pid, group } = found
  scene.note(`SIGSTOP an inference process of ${group}`)
  killQuietly(pid, 'SIGSTOP')
  await sleep(4_000)
  killQuietly(pid, 'SIGCONT')
  return true
}

/** Inference processes crash and hang; every member has two. */
export const inference: Plan = {
  name: 'inference',
  share: 0.06,
  faults: { killInference, freezeInference },
  job: { settings: { 'stream.cacheEntries': 0, 'runtime.processes': 2 } },
}
