import { readFileSync } from 'node:fs'

/** No process of this id runs. One that ended and that nobody has waited for does not run. */
export function processIsGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return true
  }
  try {
    // proc(5): the state is the first field after the command in parentheses
    return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return process.platform === 'linux'
  }
}
