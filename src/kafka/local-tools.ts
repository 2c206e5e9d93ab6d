import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { LabelstreamError, messageOf } from '../core/errors.ts'

const run = promisify(execFile)

const oldestJava = 17

/** The `java` to use: JAVA_HOME's when that is set, else the one on PATH. */
export function javaCommand(): string {
  const home = process.env['JAVA_HOME']
  return home === undefined || home === '' ? 'java' : join(home, 'bin', 'java')
}

/** The major version in what `java -version` prints ("1.8.0_392" is 8), or undefined when there is none. */
export function javaMajorVersion(versionOutput: string): number | undefined {
  const match = /version "(?:1\.)?(\d+)/.exec(versionOutput)
  return match?.[1] === undefined ? undefined : Number(match[1])
}

/** What does instead of a local broker. */
const otherwise = 'or install Docker, or set KAFKA_BROKERS to a broker that runs already'

/** Throws PREREQUISITE_MISSING unless Java 17 or newer runs. */
export async function requireJava(): Promise<void> {
  const command = javaCommand()
  let output: string
  try {
    output = (await run(command, ['-version'])).stderr
  } catch {
    throw new LabelstreamError(
      'PREREQUISITE_MISSING',
      `${command} cannot be run; the local Kafka broker needs Java ${oldestJava} or newer on PATH or in JAVA_HOME (Debian: apt-get install openjdk-17-jre-headless); ${otherwise}`,
    )
  }
  const version = javaMajorVersion(output)
  if (version !== undefined && version >= oldestJava) return
  throw new LabelstreamError(
    'PREREQUISITE_MISSING',
    `${command} is Java ${version ?? 'of an unknown version'}; the local Kafka broker needs Java ${oldestJava} or newer on PATH or in JAVA_HOME; ${otherwise}`,
  )
}

/** Throws PREREQUISITE_MISSING unless Maven runs. */
export async function requireMaven(): Promise<void> {
  try {
    await run('mvn', ['-version'])
  } catch {
    throw new LabelstreamError(
      'PREREQUISITE_MISSING',
      `mvn cannot be run; Maven fetches the local broker's jars once (Debian: apt-get install maven); ${otherwise}`,
    )
  }
}

/** Whether a Docker engine answers. */
export async function dockerAnswers(): Promise<boolean> {
  try {
    await run('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: 5_000 })
    return true
  } catch {
    return false
  }
}

/** Runs a tool to its end; a failure becomes LOCAL_BROKER_FAILED with the last lines of what it printed. */
export async function runTool(command: string, args: readonly string[], doing: string): Promise<string> {
  try {
    const { stdout } = await run(command, [...args], { maxBuffer: 16 * 1024 * 1024 })
    return stdout
  } catch (error) {
    const printed = [outputOf(error, 'stdout'), outputOf(error, 'stderr')].join('\n')
    throw new LabelstreamError(
      'LOCAL_BROKER_FAILED',
      `${doing} failed: ${lastLines(printed, 6) || messageOf(error)}`,
    )
  }
}

/** The last `count` lines that are not empty, joined on one line. */
export function lastLines(text: string, count: number): string {
  const lines = text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]))
  return lines.slice(-count).join(' | ')
}

function outputOf(error: unknown, stream: 'stdout' | 'stderr'): string {
  if (!(error instanceof Error) || !(stream in error)) return ''
  return String(error[stream as keyof Error])
}
