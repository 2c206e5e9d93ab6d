import { existsSync } from 'node:fs'
import type { ConcreteProvider, Provider } from './messages.ts'

/** What this machine shows, without starting anything. */
export interface Machine {
  readonly platform: NodeJS.Platform
  readonly hasFile: (path: string) => boolean
}

export const thisMachine: Machine = { platform: process.platform, hasFile: existsSync }

/** Signs of a graphics processor: starting a provider without one can take seconds or end in a software renderer. */
const present: { readonly [P in ConcreteProvider]: (machine: Machine) => boolean } = {
  cuda: ({ platform, hasFile }) => platform !== 'linux' || hasFile('/dev/nvidiactl'),
  webgpu: ({ platform, hasFile }) => platform !== 'linux' || hasFile('/dev/dri/renderD128'),
  dml: ({ platform }) => platform === 'win32',
  // CoreML compiles one program for each input shape, and shapes vary here: only when it is asked for
  coreml: () => false,
  cpu: () => true,
}

const fastestFirst: readonly ConcreteProvider[] = ['cuda', 'dml', 'webgpu', 'cpu']

/**
 * The providers to try, in order. `auto` tries the graphics processors of which there is a sign, then the CPU; a
 * provider named by the user is tried first, and the CPU takes over when it does not start.
 */
export function providerCandidates(wanted: Provider, machine: Machine): readonly ConcreteProvider[] {
  if (wanted === 'auto') return fastestFirst.filter((provider) => present[provider](machine))
  return wanted === 'cpu' ? ['cpu'] : [wanted, 'cpu']
}
