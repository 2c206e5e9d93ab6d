import type { Cluster } from 'kafkajs'
import { waitUntil } from '../core/clock.ts'
import { LabelstreamError } from '../core/errors.ts'
import { partitionsOf } from './cluster.ts'
import { type CommittedOffset, offsetsOf } from './stable-offsets.ts'

const prefix = 'labelstream lanes='
const patienceMs = 15_000

/** What is stored beside each committed offset: members with different numbers of lanes would not fence each other. */
export const laneMetadata = (lanes: number): string => `${prefix}${lanes}`

/** Throws SETTING_INVALID when one of the offsets was committed under another number of lanes. */
export function checkLaneMetadata(
  offsets: readonly CommittedOffset[],
  { group, lanes }: { readonly group: string; readonly lanes: number },
): void {
  for (const { topic, partition, metadata } of offsets) {
    // offsets without it were committed without transactions: whoever did that has no part in the group any more
    if (!metadata.startsWith(prefix) || metadata === laneMetadata(lanes)) continue
    const stored = metadata.slice(prefix.length)
    throw new LabelstreamError(
      'SETTING_INVALID',
      `setting exactlyOnce.lanes is ${lanes}, but group ${group} has committed ${topic}/${partition} with ${stored}: set it to ${stored}, or take another group`,
    )
  }
}

/** Looks at everything that the group has committed. Throws SETTING_INVALID and what kafkajs throws. */
export async function checkLaneNumber(
  cluster: Cluster,
  options: { readonly group: string; readonly inputTopics: readonly string[]; readonly lanes: number },
): Promise<void> {
  const partitions = options.inputTopics.flatMap((topic) =>
    partitionsOf(cluster, topic).map((partition) => ({ topic, partition })),
  )
  await waitUntil(
    async () => {
      const found = await offsetsOf(cluster, options.group, partitions, { stable: false })
      if (found !== 'undecided') checkLaneMetadata(found, options)
      return found !== 'undecided'
    },
    {
      timeoutMs: patienceMs,
      onTimeout: () =>
        new LabelstreamError(
          'BROKER_UNREACHABLE',
          `the coordinator of group ${options.group} does not answer`,
        ),
    },
  )
}
