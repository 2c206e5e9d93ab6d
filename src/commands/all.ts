import type { CommandSpec } from './command.ts'
import { benchCommand } from './bench.ts'
import { compareCommand } from './compare.ts'
import { demoCommand } from './demo.ts'
import { dlqList, dlqReplay } from './dlq.ts'
import { evaluateCommand } from './evaluate.ts'
import { labelsPut } from './labels-put.ts'
import { modelsImport } from './models-import.ts'
import { modelsList, modelsPromote, modelsRollback, modelsShow, modelsVerify } from './models.ts'
import { retrainCommand } from './retrain.ts'
import { runCommand } from './run.ts'
import { scoreCommand } from './score.ts'
import { settingsCommand } from './settings.ts'
import { topicsCheck, topicsCreate } from './topics.ts'

/** Every command, in the order of the help. */
export const allCommands: readonly CommandSpec[] = [
  demoCommand,
  runCommand,
  scoreCommand,
  retrainCommand,
  compareCommand,
  evaluateCommand,
  benchCommand,
  labelsPut,
  modelsList,
  modelsShow,
  modelsVerify,
  modelsPromote,
  modelsRollback,
  modelsImport,
  topicsCreate,
  topicsCheck,
  dlqList,
  dlqReplay,
  settingsCommand,
]
