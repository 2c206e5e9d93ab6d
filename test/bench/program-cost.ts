import { readFileSync } from 'node:fs'
import { monotonicMs } from '../../src/core/clock.ts'

export interface ProgramCost {
  readonly seconds: number
  /** Of all its threads and of the processes that it started. */
  readonly processorSeconds: number
}

/** What `work` takes, which runs a program to its end. Programs that end meanwhile count too. Linux only. */
export async function programCost(work: () => Promise<unknown>): Promise<ProgramCost> {
  const startedMs = monotonicMs()
  const before = endedProcessorSeconds()
  await work()
  return {
    seconds: (monotonicMs() - startedMs) / 1_000,
    processorSeconds: endedProcessorSeconds() - before,
  }
}

/** proc(5): cutime and cstime, fields 16 and 17, in hundredths of a second; the name before field 3 may hold blanks. */
function endedProcessorSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[13]) + Number(fields[14])) / 100
}
