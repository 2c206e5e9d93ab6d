import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { waitUntil } from '../../../src/core/clock.ts'
import { type Fault, someMember } from '../fault.ts'
import type { Plan } from '../plan.ts'
import { killInference } from './inference.ts'

const patienceMs = 10_000
const burstMessages = 600

/**
 * The inference process may have next to no more memory than it has now: its allocations fail, as they do where a
 * container's or a user's limit is reached. What it does then (an error, or its end) is its own affair.
 */
const starveInference: Fault = async (scene) => {
  const found = someMember(scene)
  const pid = found?.member.inferencePid
  if (found === undefined || pid === undefined) return false
  const { job, member } = found
  const spareBytes = scene.random.integer(4) * 262_144
  const troubles = (): number =>
    member.log.split('INFERENCE_').length + member.log.split('inference process ').length
  const before = troubles()
  const limitBytes = (await addressSpaceBytes(pid)) + spareBytes
  try {
    // the soft limit alone, so that it can be raised again
    await promisify(execFile)('prlimit', ['--pid', String(pid), `--as=${limitBytes}:`])
  } catch {
    return false
  }
  scene.note(`no more memory than ${spareBytes} bytes for the inference process of ${job.group}`)
  await job.burst(burstMessages)
  const struck = await waitUntil(() => member.inferencePid !== pid || troubles() > before, {
    timeoutMs: patienceMs,
    onTimeout: () => new Error('it needed no more'),
  }).then(
    () => true,
    () => false,
  )
  if (!struck) scene.note('it needed no more')
  await promisify(execFile)('prlimit', ['--pid', String(pid), '--as=unlimited:']).catch(() => undefined)
  return struck
}

/** VmSize of proc(5). */
async function addressSpaceBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmSize:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024
}

/** Inference processes get no more memory, or are killed as the out-of-memory killer does it. */
export const memory: Plan = {
  name: 'memory',
  share: 0.05,
  faults: { starveInference, killInference },
  job: { settings: { 'stream.cacheEntries': 0, 'batch.budgetTokens': 16_384, 'batch.maxRows': 1_024 } },
}
