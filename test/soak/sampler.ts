import { readdirSync, readFileSync } from 'node:fs'

/** Of one process and of those that it started, as /proc tells. */
export interface ProcessSample {
  readonly mainBytes: number
  readonly childBytes: number
  /** Open file descriptors of all of them. */
  readonly descriptors: number
}

/** Undefined when the process is gone. Linux only. */
export function sampleProcess(pid: number): ProcessSample | undefined {
  const main = sampleOne(pid)
  if (main === undefined) return undefined
  const children = childrenOf(pid).map(sampleOne)
  return {
    mainBytes: main.bytes,
    childBytes: children.reduce((sum, child) => sum + (child?.bytes ?? 0), 0),
    descriptors: children.reduce((sum, child) => sum + (child?.descriptors ?? 0), main.descriptors),
  }
}

function sampleOne(pid: number): { bytes: number; descriptors: number } | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const bytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024
    return Number.isNaN(bytes) ? undefined : { bytes, descriptors: readdirSync(`/proc/${pid}/fd`).length }
  } catch {
    return undefined
  }
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    return text === '' ? [] : text.split(' ').map(Number)
  } catch {
    return []
  }
}

/** Values of a page of metrics by name and labels, as they stand there. */
export function parseMetrics(page: string): ReadonlyMap<string, number> {
  const rows = page.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    rows.map((line) => {
      const end = line.lastIndexOf(' ')
      return [line.slice(0, end), Number(line.slice(end + 1))] as const
    }),
  )
}
