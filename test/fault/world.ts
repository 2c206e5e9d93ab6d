import { mkdir, mkdtemp, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Random, seededRandom } from '../../src/core/random.ts'
import { connectKafka, type KafkaClient } from '../../src/kafka/connect.ts'
import { type LocalKafka, startLocalKafka } from '../../src/kafka/local-broker.ts'
import { openModel } from '../../src/models/folder.ts'
import { Serving } from '../../src/stream/serving.ts'
import { writeSmallModel } from '../support/small-model.ts'
import { BrokerProxies } from './proxy.ts'
import { secretWord, someTexts } from './texts.ts'

/** What all jobs of a fault run share: brokers, a model, texts and what the model says of them. */
export interface FaultWorld {
  readonly kafka: LocalKafka
  /** In front of each broker, for those who connect there. */
  readonly proxies: BrokerProxies
  readonly client: KafkaClient
  readonly folder: string
  readonly modelFolder: string
  readonly modelDigest: string
  readonly texts: readonly string[]
  /** By the number of the text. */
  readonly reference: readonly Readonly<Record<string, number>>[]
  readonly seed: number
  /** A stream of random numbers of its own for each name, so that parts do not disturb each other's schedule. */
  random(name: string): Random
  close(): Promise<void>
}

const textCount = 400

export async function startFaultWorld(seed: number, nodes: 1 | 3 = 3): Promise<FaultWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'fault-'))
  const modelsFolder = join(folder, 'models')
  await mkdir(modelsFolder)
  const { digest, path } = await writeSmallModel(modelsFolder)
  const texts = someTexts(seededRandom(seed), textCount)
  const reference = await referenceScores(path, texts)
  const kafka = await startLocalKafka({ nodes })
  const client = connectKafka({
    brokers: kafka.brokers,
    clientId: 'labelstream-fault',
    connectionTimeoutMs: 1_000,
    requestTimeoutMs: 15_000,
  })
  const proxies = await BrokerProxies.start(kafka.brokers)
  return {
    kafka,
    proxies,
    client,
    folder,
    modelFolder: path,
    modelDigest: digest,
    texts,
    reference,
    seed,
    random: (name) => seededRandom(seed ^ hashOf(name)),
    close: async () => {
      await proxies.close()
      await kafka.stop()
    },
  }
}

/** Files among the logs that hold a text. */
export async function logsWithTexts(folder: string): Promise<string[]> {
  const logs = (await readdir(folder)).filter((file) => file.endsWith('.log'))
  const found = await Promise.all(
    logs.map(async (file) => (await readFile(join(folder, file), 'utf8')).includes(secretWord)),
  )
  return logs.filter((_file, index) => found[index])
}

async function referenceScores(
  modelFolder: string,
  texts: readonly string[],
): Promise<Record<string, number>[]> {
  const serving = await Serving.start(await openModel(modelFolder, ''), {
    provider: 'cpu',
    precision: 'fp32',
    threads: 1,
    deadlineMs: 60_000,
    maxTokens: 0,
    maxWindows: 4,
    strideTokens: 32,
    tokenizerThreads: 1,
    budgetTokens: 1_024,
  })
  try {
    const scored = await serving.score(texts)
    return scored.map(({ scores }) =>
      Object.fromEntries(serving.scorer.labels.map((label, index) => [label, scores[index] ?? NaN])),
    )
  } finally {
    await serving.close()
  }
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash
}
