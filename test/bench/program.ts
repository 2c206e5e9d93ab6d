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

interface Words {
  readonly printed: string
  /** The last lines of its stderr. */
  readonly complaints: string
}

/** Runs a program to its end. Throws with its complaints where that is no good one. */
export async function runProgram(
  command: string,
  args: readonly string[],
  { env = {}, shell = false }: ProgramOptions = {},
): Promise<Words> {
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
  const complaints = complained.trim().split('\n').slice(-8).join('\n')
  if (status !== 0) throw new Error(`${command} ended with ${String(status)}:\n${complaints}`)
  return { printed, complaints }
}

/** Runs a program to its end; the JSON document that its stdout is, or that its last line is. Throws as `runProgram`. */
export async function printedJson(
  command: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<unknown> {
  const { printed, complaints } = await runProgram(command, args, options)
  for (const text of [printed, printed.trim().split('\n').at(-1) ?? '']) {
    try {
      return JSON.parse(text)
    } catch {
      // the other one may be
    }
  }
  throw new Error(`${command} printed no JSON:\n${complaints}`)
}
