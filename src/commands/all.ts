import type { CommandSpec } from './command.ts'

/**
 * Every command by its first word, in the order of the help. Each is loaded by itself: a command that starts does not
 * wait for the modules of the others.
 */
const loaders: Readonly<Record<string, () => Promise<readonly CommandSpec[]>>> = {
  demo: async () => [(await import('./demo.ts')).demoCommand],
  run: async () => [(await import('./run.ts')).runCommand],
  score: async () => [(await import('./score.ts')).scoreCommand],
  retrain: async () => [(await import('./retrain.ts')).retrainCommand],
  compare: async () => [(await import('./compare.ts')).compareCommand],
  evaluate: async () => [(await import('./evaluate.ts')).evaluateCommand],
  bench: async () => [(await import('./bench.ts')).benchCommand],
  labels: async () => {
    const [{ labelsPut }, { labelsCheck }] = await Promise.all([
      import('./labels-put.ts'),
      import('./labels-check.ts'),
    ])
    return [labelsPut, labelsCheck]
  },
  models: async () => {
    const [models, { modelsImport }, { modelsPull }, { modelsExport }, { modelsCalibrate }] =
      await Promise.all([
        import('./models.ts'),
        import('./models-import.ts'),
        import('./models-pull.ts'),
        import('./models-export.ts'),
        import('./models-calibrate.ts'),
      ])
    const { modelsList, modelsShow, modelsVerify, modelsPromote, modelsRollback } = models
    const stored = [modelsList, modelsShow, modelsVerify, modelsPromote, modelsRollback]
    return [...stored, modelsImport, modelsPull, modelsExport, modelsCalibrate]
  },
  topics: async () => {
    const { topicsCheck, topicsCreate } = await import('./topics.ts')
    return [topicsCreate, topicsCheck]
  },
  dlq: async () => {
    const { dlqList, dlqReplay } = await import('./dlq.ts')
    return [dlqList, dlqReplay]
  },
  replay: async () => [(await import('./replay.ts')).replayCommand],
  settings: async () => [(await import('./settings.ts')).settingsCommand],
}

/** The commands that begin with `word`; all of them where none does, for the help and for what is not known. */
export async function commandsFor(word: string | undefined): Promise<readonly CommandSpec[]> {
  if (word !== undefined && Object.hasOwn(loaders, word)) return (await loaders[word]?.()) ?? []
  return (await Promise.all(Object.values(loaders).map((load) => load()))).flat()
}
