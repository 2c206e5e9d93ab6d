import type { CommandContext } from '../../src/commands/command.ts'
import { loadSettings } from '../../src/settings/load.ts'
import type { SettingKey } from '../../src/settings/catalogue.ts'

/** Settings by key. */
export type SettingFlags = Readonly<Partial<Record<SettingKey, string>>>

/** What a command gets, with settings as if given as flags; it prints nothing, and warnings go into the list. */
export function commandContext(flags: SettingFlags, warnings: string[] = []): CommandContext {
  const loaded = loadSettings({ environment: {}, flags })
  const silent = (): void => undefined
  return {
    settings: loaded.settings,
    loaded,
    json: true,
    interrupted: new AbortController().signal,
    log: { debug: silent, info: silent, warn: (line) => warnings.push(line), error: silent },
    print: silent,
    printJson: silent,
  }
}
