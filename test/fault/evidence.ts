import { parseAvroSchema } from '../../src/formats/avro-schema.ts'
import { type WriterSchemas, writerSchemas } from '../../src/formats/avro-value.ts'
import { decodeLabelScores } from '../../src/formats/scores.ts'
import { committedOffsets, endOffsets } from '../../src/kafka/admin.ts'
import { readRange } from '../../src/kafka/read-range.ts'
import { collect } from '../support/collect.ts'
import type { Evidence } from './checker.ts'
import { commitsOf } from './commits.ts'
import type { Job } from './job.ts'
import { expectationOf, textNumberOf } from './texts.ts'
import type { FaultWorld } from './world.ts'

/** What Kafka holds of a job now; the committed offsets are read first. */
export async function evidenceOf(job: Job): Promise<Evidence> {
  const { client, models } = job.world
  const served = job.options.followsChampion === true ? models : [models[0]]
  const { input, scores, deadLetters } = job.topics
  const committed = await committedOffsets(client, job.group, input)
  const ends = await endOffsets(client, input)
  const schemas = schemasOf(job.world)
  const inputs = await collect(readRange(client, input))
  const events = await collect(readRange(client, scores))
  return {
    mode: job.options.mode,
    lateRequests: job.options.lateRequests === true,
    inputs,
    expectation: expectationOf,
    scores: await Promise.all(
      events.map(async (message) => ({
        message,
        event: await decodeLabelScores(message.value ?? Buffer.of(), schemas),
      })),
    ),
    deadLetters: await collect(readRange(client, deadLetters)),
    committed,
    commits: await commitsOf(client, job.group, input),
    ends,
    reference: (message, digest) =>
      served.find((model) => model.digest === digest)?.answers[textNumberOf(message)],
  }
}

/** With the schemas that the registry has, whether it answers or not. */
function schemasOf({ registry }: FaultWorld): WriterSchemas {
  const byId = (id: number) => {
    const { schema } = (registry.schemas.get(id) ?? {}) as { schema?: string }
    return parseAvroSchema(schema ?? '', `schema ${id}`)
  }
  return { ...writerSchemas(), byId }
}
