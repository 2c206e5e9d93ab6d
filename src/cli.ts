#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError, Option } from 'commander'
import type { CommandContext, CommandSpec, OptionValues } from './commands/command.ts'
import { commandsFor } from './commands/all.ts'
import { LabelstreamError, asLabelstreamError, messageOf } from './core/errors.ts'
import { packageRoot } from './core/paths.ts'
import type { SettingKey } from './settings/catalogue.ts'
import { loadSettings } from './settings/load.ts'
import { settingRows } from './settings/reference.ts'
import { createLogger } from './telemetry/log.ts'

const groupDescriptions: Readonly<Record<string, string>> = {
  models: 'list, show, verify, promote, roll back, import, pull, export and calibrate models',
  topics: 'create and check the topics',
  labels: 'load labelled texts into the labelled topic',
  dlq: 'look at dead letters and put them back',
}

/** Camel-cased name that commander gives an option. */
const attributeOf = (flag: string): string => new Option(`${flag} <value>`).attributeName()

function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    version: string
  }
  return version
}

/** For output that is still on its way. */
const endGraceMs = 1_000

function buildProgram(commands: readonly CommandSpec[], interrupted: AbortSignal): Command {
  const program = new Command('labelstream')
    .description(
      'Kafka texts in, multi-label scores out; and a command that trains the model from labelled topics.',
    )
    .version(packageVersion())
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 the gate said no, 130 interrupted.',
    )
  for (const spec of commands) addCommand(program, spec, interrupted)
  return program
}

/** The commands that these arguments can mean; the version needs none. */
async function commandsOf([first]: readonly string[]): Promise<readonly CommandSpec[]> {
  return first === '--version' || first === '-V' ? [] : commandsFor(first)
}

function addCommand(program: Command, spec: CommandSpec, interrupted: AbortSignal): void {
  const [first = '', second] = spec.name.split(' ')
  const command = (second === undefined ? program : groupOf(program, first)).command(second ?? first)
  command.description(spec.summary).copyInheritedSettings(program).exitOverride()
  if (spec.arguments !== undefined) command.argument(spec.arguments)
  for (const option of spec.options ?? []) {
    command.addOption(new Option(option.flags, option.help).makeOptionMandatory(option.required ?? false))
  }
  command
    .option('--json', 'one JSON document on stdout')
    .option('--settings <file>', 'settings file instead of labelstream.yaml')
    .option('--verbose', 'debug log and stack traces')
  const ownFlags = new Set(command.options.map(({ long }) => long))
  const keys = new Map<string, SettingKey>()
  for (const row of settingRows()) {
    if (ownFlags.has(row.flag))
      throw new Error(`${spec.name}: option ${row.flag} hides the setting ${row.key}`)
    keys.set(attributeOf(row.flag), row.key)
    const listed = spec.settings.some(
      (item) => row.key === item || (item.endsWith('.') && row.key.startsWith(item)),
    )
    const help = row.default === '' ? row.help : `${row.help} (default ${row.default})`
    command.addOption(new Option(`${row.flag} <value>`, help).hideHelp(!listed).helpGroup('Settings:'))
  }
  if (spec.examples !== undefined) {
    command.addHelpText(
      'after',
      ['', 'Examples:', ...spec.examples.map((example) => `  ${example}`)].join('\n'),
    )
  }
  command.action(async () => {
    const options = command.opts<Record<string, string | boolean | undefined>>()
    const flags: Partial<Record<SettingKey, string>> = {}
    const own: Record<string, string | boolean | undefined> = {}
    for (const [name, value] of Object.entries(options)) {
      const key = keys.get(name)
      if (key === undefined) own[name] = value
      else if (typeof value === 'string') flags[key] = value
    }
    await spec.run(contextOf(own, flags, interrupted), command.args, own)
  })
}

function groupOf(program: Command, name: string): Command {
  const existing = program.commands.find((command) => command.name() === name)
  if (existing !== undefined) return existing
  return program
    .command(name)
    .description(groupDescriptions[name] ?? '')
    .copyInheritedSettings(program)
    .exitOverride()
}

function contextOf(
  options: OptionValues,
  flags: Partial<Record<SettingKey, string>>,
  interrupted: AbortSignal,
): CommandContext {
  const file = typeof options.settings === 'string' ? options.settings : undefined
  const loaded = loadSettings({ file, environment: process.env, flags })
  const json = options.json === true
  const { settings } = loaded
  return {
    settings,
    loaded,
    json,
    interrupted,
    log: createLogger({
      level: options.verbose === true ? 'debug' : settings['log.level'],
      format: settings['log.format'],
    }),
    print: (line) => {
      if (!json) process.stdout.write(`${line}\n`)
    },
    printJson: (document) => {
      if (json) process.stdout.write(`${JSON.stringify(document, null, 2)}\n`)
    },
  }
}

/** The first SIGINT or SIGTERM asks for an orderly end, the second does not wait for it. */
function interruption(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(130)
      controller.abort(signal)
    })
  }
  return controller.signal
}

/** Prints the error on one line and says what the process should exit with. */
function report(thrown: unknown): number {
  if (thrown instanceof CommanderError) {
    if (thrown.exitCode === 0) return 0
    if (thrown.code === 'commander.help') return 2
    const wanted = messageOf(thrown).replace(/^error: /, '')
    process.stderr.write(`labelstream: ${wanted} (see \`labelstream --help\`)\n`)
    return 2
  }
  const error = asLabelstreamError(thrown)
  process.stderr.write(`labelstream: ${error.code}: ${messageOf(error)}\n`)
  if (process.argv.includes('--verbose')) {
    const origin = error instanceof LabelstreamError && error.cause instanceof Error ? error.cause : error
    process.stderr.write(`${error.stack ?? ''}\n${origin === error ? '' : `caused by ${stackOf(origin)}\n`}`)
  }
  return error.exitCode
}

/** JSON.parse quotes what it could not read, and that may be somebody's text: then only where it happened. */
function stackOf(error: Error): string {
  const stack = error.stack ?? error.name
  if (!(error instanceof SyntaxError)) return stack
  const frames = stack.slice(stack.lastIndexOf(error.message) + error.message.length)
  return `${error.name}${frames}`
}

// whoever reads our output may stop before its end, as `head` does
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

try {
  const interrupted = interruption()
  await buildProgram(await commandsOf(process.argv.slice(2)), interrupted).parseAsync()
} catch (error) {
  process.exitCode = report(error)
}
// everything is done; a connection that still waits for a silent broker must not keep the process
setTimeout(() => process.exit(), endGraceMs).unref()
