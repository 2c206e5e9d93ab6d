import { spawn } from 'node:child_process'

/** A line on stderr: progress, so that stdout is the result alone. */
export const say = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

/** A whole number of an option. Throws RangeError naming it. */
export function wholeNumber(name: string, text: string, least = 1): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= least) return value
  throw new RangeError(`--${name}: ${text} is no whole number of at least ${least}`)
}

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>
  /** The command is a line for the shell. */
  readonly shell?: boolean
}

/**
 * Runs a program to its end; the JSON document that its stdout is, or that its last line is. Throws with the end of
 * its stderr.
 */
export async function printedJson(
  command: string,
  args: readonly string[],
  { env = {}, shell = false }: ProgramOptions = {},
): Promise<unknown> {
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    shell,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  let complained = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complained += text))
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const tail = complained.trim().split('\n').slice(-8).join('\n')
  if (status !== 0) throw new Error(`${command} ended with ${String(status)}:\n${tail}`)
  for (const text of [printed, printed.trim().split('\n').at(-1) ?? '']) {
    try {
      return JSON.parse(text)
    } catch {
      // the other one may be
    }
  }
  throw new Error(`${command} printed no JSON:\n${tail}`)
}
