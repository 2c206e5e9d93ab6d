import kafkajs, { type Assignment, type PartitionAssigner } from 'kafkajs'

/** The lane of a partition: partitions of one lane always have the same owner and the same transactional id. */
export const laneOf = (partition: number, lanes: number): number => partition % lanes

/**
 * Hands whole lanes to members, in turn. The number of lanes is part of the protocol's name, and brokers refuse a
 * member that has no protocol in common with the others: a group cannot work with two numbers at once, nor mix
 * with members that commit without transactions.
 */
export function laneAssigner(lanes: number): PartitionAssigner {
  const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol
  const name = `labelstream-lanes-${lanes}`
  const version = 0
  const userData = Buffer.alloc(0)
  return ({ cluster }) => ({
    name,
    version,
    protocol: ({ topics }) => ({ name, metadata: MemberMetadata.encode({ version, topics, userData }) }),
    assign: ({ members, topics }) => {
      const partitions = new Map(
        topics.map((topic) => [
          topic,
          cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId),
        ]),
      )
      const assignments = assignLanes(
        members.map(({ memberId }) => memberId),
        partitions,
        lanes,
      )
      return Promise.resolve(
        [...assignments].map(([memberId, assignment]) => ({
          memberId,
          memberAssignment: MemberAssignment.encode({ version, assignment, userData }),
        })),
      )
    },
  })
}

/** Each member's partitions by topic: lanes that have a partition go round the members in the order of their ids. */
export function assignLanes(
  memberIds: readonly string[],
  partitions: ReadonlyMap<string, readonly number[]>,
  lanes: number,
): Map<string, Assignment> {
  const members = memberIds.toSorted()
  const used = new Set([...partitions.values()].flat().map((partition) => laneOf(partition, lanes)))
  const ownerOfLane = new Map(
    [...used].sort((a, b) => a - b).map((lane, index) => [lane, members[index % members.length]]),
  )
  return new Map(
    members.map((member) => {
      const assignment: Assignment = {}
      for (const [topic, numbers] of partitions) {
        const own = numbers.filter((partition) => ownerOfLane.get(laneOf(partition, lanes)) === member)
        if (own.length > 0) assignment[topic] = own.sort((a, b) => a - b)
      }
      return [member, assignment]
    }),
  )
}
