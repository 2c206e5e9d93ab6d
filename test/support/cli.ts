import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { after } from 'node:test'
import { packageRoot } from '../../src/core/paths.ts'

export interface CliRun {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  /** Added to an environment without any setting of ours. */
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  readonly cwd?: string
}

const running = new Set<ChildProcess>()
after(() => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts the built command line (`dist/cli.js`), as a user would. It is killed when the file's tests end. */
export function startCli(
  args: readonly string[],
  options: CliOptions = {},
): { child: ChildProcess; ended: Promise<CliRun> } {
  const child = spawn(process.execPath, [join(packageRoot, 'dist', 'cli.js'), ...args], {
    env: { ...cleanEnvironment(), ...options.env },
    cwd: options.cwd ?? packageRoot,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  running.add(child)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  const ended = new Promise<CliRun>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => {
      running.delete(child)
      resolve({ status, stdout, stderr })
    })
  })
  return { child, ended }
}

/** Runs it to its end. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  return startCli(args, options).ended
}

/** The JSON document on stdout; with the error output in the message when there is none. */
export async function cliJson(args: readonly string[], options: CliOptions = {}): Promise<unknown> {
  const { status, stdout, stderr } = await runCli([...args, '--json'], options)
  if (status !== 0) throw new Error(`labelstream ${args[0] ?? ''} ended with ${String(status)}: ${stderr}`)
  return JSON.parse(stdout)
}

function cleanEnvironment(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter((name) => !/^(LABELSTREAM|KAFKA)_/.test(name))
  return Object.fromEntries(names.map((name) => [name, process.env[name]]))
}
