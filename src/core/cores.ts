import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** Where Linux tells a control group's processor time: the second version in one file, the first in two. */
const quotaFiles = [
  ['/sys/fs/cgroup/cpu.max'],
  ['/sys/fs/cgroup/cpu/cpu.cfs_quota_us', '/sys/fs/cgroup/cpu/cpu.cfs_period_us'],
] as const

/**
 * Cores that this process may keep busy: those it may run on, and no more than the processor time that its container has.
 * More threads than that would be stopped in the middle of their work until the next period.
 */
export function usableCores(
  read: (path: string) => string = (path) => readFileSync(path, 'utf8'),
  cores: number = availableParallelism(),
): number {
  for (const files of quotaFiles) {
    let words: string[]
    try {
      words = files.flatMap((path) => read(path).trim().split(/\s+/))
    } catch {
      continue
    }
    // "max" or -1: no quota
    const [quota, period] = words.map(Number)
    if (quota === undefined || period === undefined || !(quota > 0) || !(period > 0)) continue
    return Math.max(1, Math.min(cores, Math.ceil(quota / period)))
  }
  return cores
}
