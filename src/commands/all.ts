import type { CommandSpec } from './command.ts'
import { settingsCommand } from './settings.ts'

/** Every command, in the order of the help. */
export const allCommands: readonly CommandSpec[] = [settingsCommand]
