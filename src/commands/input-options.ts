import type { InputOptions } from '../formats/input.ts'
import type { Settings } from '../settings/catalogue.ts'

/** How the settings want messages of the input topic read. */
export const inputOptionsOf = (settings: Settings): InputOptions => ({
  format: settings['input.format'],
  textPointer: settings['input.textPointer'],
  idPointer: settings['input.idPointer'],
  maxTextBytes: settings['input.maxTextBytes'],
  maxMessageBytes: settings['input.maxMessageBytes'],
  maxHeaderBytes: settings['input.maxHeaderBytes'],
})
