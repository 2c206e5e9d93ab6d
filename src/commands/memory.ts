import type { ProcessMemory } from '../runtime/messages.ts'

/** Peak resident memory of this process and an inference process together, in bytes (the sum of both peaks). */
export function peakMemoryBytes(inference: { readonly memory: ProcessMemory }): number {
  // maxRSS is in kilobytes
  return process.resourceUsage().maxRSS * 1024 + inference.memory.peakBytes
}
