import type { TopicSource } from '../models/data-manifest.ts'
import { type TopicRow, type TopicSpan, digestOfRows } from './topic-rows.ts'

/**
 * What a manifest names and a topic no longer has, as far as offsets tell, a clause each. Rows that fell out of the
 * topic do not matter where later ones had replaced them.
 */
export function goneByOffset(recorded: TopicSource, now: TopicSpan): string[] {
  const rangeNow = new Map(now.partitions.map((range) => [range.partition, range]))
  return recorded.partitions.flatMap(({ partition, to, segments }) => {
    const place = `${recorded.topic}/${partition}`
    const range = rangeNow.get(partition)
    if (range === undefined) return [`${place} does not exist any more`]
    if (range.to < to) return [`${place} ends before offset ${range.to}, the manifest reads it up to ${to}`]
    const gone = segments.filter(({ from }) => from < range.from)
    const first = gone[0]
    if (first === undefined) return []
    const last = Math.min(gone.at(-1)?.to ?? 0, range.from) - 1
    return [
      `${place} offsets ${first.from} to ${last} are gone (retention or deleted records): it begins at ${range.from} now`,
    ]
  })
}

/** Where rows that were read again, by partition and offset, differ from a manifest's, a clause each. */
export function goneByContent(recorded: TopicSource, rows: readonly TopicRow[]): string[] {
  const clauses: string[] = []
  let expected = 0
  for (const { partition, segments } of recorded.partitions) {
    const ofPartition = rows.filter((row) => row.partition === partition)
    let place = 0
    for (const { from, to, rows: count, sha256 } of segments) {
      const reached = (offset: number): number => {
        while ((ofPartition[place]?.offset ?? Infinity) < offset) place++
        return place
      }
      const found = ofPartition.slice(reached(from), reached(to))
      expected += count
      if (digestOfRows(found) === sha256) continue
      const where = `${recorded.topic}/${partition} offsets ${from} to ${to - 1}`
      clauses.push(
        found.length < count
          ? `${where} have ${found.length} of ${count} rows left (compaction removed the others)`
          : `${where} have other rows`,
      )
    }
  }
  if (clauses.length > 0 || rows.length === expected) return clauses
  return [`${recorded.topic} has ${rows.length} rows in the same offsets, not ${expected}`]
}
