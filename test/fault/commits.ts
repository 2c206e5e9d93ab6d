import { readRange } from '../../src/kafka/read-range.ts'
import type { KafkaClient } from '../../src/kafka/connect.ts'

/** One commit as it stands in the log of the brokers. */
export interface Commit {
  readonly partition: number
  readonly offset: number
}

const offsetCommitKey = new Set([0, 1])

/**
 * Every offset that the group has committed for a topic, in the order in which it counted: the records of Kafka's own
 * topic of commits. Aborted transactions are not in it. Nothing of a short run is compacted away: that begins with
 * the second segment.
 */
export async function commitsOf(client: KafkaClient, group: string, topic: string): Promise<Commit[]> {
  const commits: Commit[] = []
  for await (const { key, value } of readRange(client, '__consumer_offsets')) {
    if (key === null || value === null || !offsetCommitKey.has(key.readInt16BE(0))) continue
    const reader = { at: 2 }
    if (stringAt(key, reader) !== group || stringAt(key, reader) !== topic) continue
    commits.push({ partition: key.readInt32BE(reader.at), offset: Number(value.readBigInt64BE(2)) })
  }
  return commits
}

function stringAt(bytes: Buffer, reader: { at: number }): string {
  const start = reader.at + 2
  reader.at = start + bytes.readInt16BE(reader.at)
  return bytes.toString('utf8', start, reader.at)
}
