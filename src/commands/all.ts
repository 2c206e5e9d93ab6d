import type { CommandSpec } from './command.ts'
import { demoCommand } from './demo.ts'
import { runCommand } from './run.ts'
import { scoreCommand } from './score.ts'
import { settingsCommand } from './settings.ts'
import { topicsCheck, topicsCreate } from './topics.ts'

/** Every command, in the order of the help. */
export const allCommands: readonly CommandSpec[] = [
  runCommand,
  demoCommand,
  scoreCommand,
  topicsCreate,
  topicsCheck,
  settingsCommand,
]
