import { effectiveSettings, settingsJsonSchema, settingsPage } from '../settings/reference.ts'
import type { CommandSpec } from './command.ts'
import { table } from './output.ts'

export const settingsCommand: CommandSpec = {
  name: 'settings',
  summary: 'show the effective settings and where each came from',
  options: [
    { flags: '--reference', help: 'print the reference page of all settings' },
    { flags: '--json-schema', help: 'print a JSON schema of labelstream.yaml' },
  ],
  settings: [],
  run: (context, _positional, options) => {
    if (options.reference === true) process.stdout.write(settingsPage())
    else if (options.jsonSchema === true)
      process.stdout.write(`${JSON.stringify(settingsJsonSchema(), null, 2)}\n`)
    else {
      const effective = effectiveSettings(context.loaded)
      context.printJson(effective)
      const rows = Object.entries(effective).map(([key, { value, origin }]) => [key, String(value), origin])
      context.print(table(['Setting', 'Value', 'From'], rows))
    }
    return Promise.resolve()
  },
}
