import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Random, seededRandom } from '../../src/core/random.ts'
import { connectKafka, type KafkaClient } from '../../src/kafka/connect.ts'
import { type LocalKafka, startLocalKafka } from '../../src/kafka/local-broker.ts'
import { promote } from '../../src/models/champion.ts'
import { type FakeRegistry, startFakeRegistry } from '../support/fake-registry.ts'
import { writeSmallModel } from '../support/small-model.ts'
import { BrokerProxies } from './proxy.ts'
import { type ModelReference, modelReference } from './reference.ts'
import { registerInputSchemas } from './registered-texts.ts'
import { SmallDisks } from './small-disks.ts'
import { secretWord, someTexts } from './texts.ts'

/**
 * `plain`: three brokers, or one. `small disks`: three brokers, each with a small file system of its own for its
 * logs. `access rules`: one broker that asks for a password and lets nobody do what is not allowed to them.
 */
export type WorldKind = 'plain' | 'small disks' | 'access rules'

/** What all jobs of a fault run share: brokers, a model, texts and what the model says of them. */
export interface FaultWorld {
  readonly kafka: LocalKafka
  /** In front of each broker, for those who connect there. */
  readonly proxies: BrokerProxies
  /** Where the brokers' logs are, in a world of small disks. */
  readonly disks: SmallDisks | undefined
  /** May do everything. */
  readonly client: KafkaClient
  /** How members connect, besides the brokers' addresses. */
  readonly memberSettings: Readonly<Record<string, string>>
  readonly registry: FakeRegistry
  readonly folder: string
  readonly modelsFolder: string
  /** Two versions of the model `small`; the first is the champion when the world begins. */
  readonly models: readonly [ModelReference, ModelReference]
  readonly texts: readonly string[]
  readonly seed: number
  /** A stream of random numbers of its own for each name, so that parts do not disturb each other's schedule. */
  random(name: string): Random
  close(): Promise<void>
}

const textCount = 400

export async function startFaultWorld(
  seed: number,
  options: { readonly kind?: WorldKind; readonly nodes?: 1 | 3 } = {},
): Promise<FaultWorld> {
  const { kind = 'plain' } = options
  const folder = await mkdtemp(join(tmpdir(), 'fault-'))
  const modelsFolder = join(folder, 'models')
  await mkdir(modelsFolder)
  const texts = someTexts(seededRandom(seed), textCount)
  const models = await makeModels(modelsFolder, texts)
  const { kafka, disks } = await startKafka(kind, options.nodes ?? 3)
  const client = connectKafka({
    brokers: kafka.internalBrokers,
    clientId: 'labelstream-fault',
    connectionTimeoutMs: 1_000,
    requestTimeoutMs: 15_000,
  })
  const proxies = await BrokerProxies.start(kafka.brokers)
  const registry = await startFakeRegistry()
  registerInputSchemas(registry)
  return {
    kafka,
    proxies,
    disks,
    client,
    memberSettings: await memberSettings(kafka, folder),
    registry,
    folder,
    modelsFolder,
    models,
    texts,
    seed,
    random: (name) => seededRandom(seed ^ hashOf(name)),
    close: async () => {
      await proxies.close()
      await registry.close()
      await kafka.stop()
      await disks?.close()
    },
  }
}

/** They differ in weights, labels, the labels' order and thresholds. */
async function makeModels(modelsFolder: string, texts: readonly string[]): Promise<FaultWorld['models']> {
  const first = await writeSmallModel(modelsFolder, 1)
  const labels = ['third', 'first', 'fourth']
  const second = await writeSmallModel(modelsFolder, 2, { labels, threshold: 0.2 })
  await promote(modelsFolder, 'small', first.version)
  return [await modelReference(first.path, texts), await modelReference(second.path, texts)]
}

async function startKafka(
  kind: WorldKind,
  nodes: 1 | 3,
): Promise<{ kafka: LocalKafka; disks: SmallDisks | undefined }> {
  if (kind === 'access rules') {
    return { kafka: await startLocalKafka({ security: 'sasl_ssl_acl' }), disks: undefined }
  }
  if (kind === 'plain') return { kafka: await startLocalKafka({ nodes }), disks: undefined }
  const disks = await SmallDisks.mount(3)
  try {
    return { kafka: await startLocalKafka({ nodes: 3, folder: disks.folder }), disks }
  } catch (error) {
    await disks.close()
    throw error
  }
}

/** The user `app`, where the brokers ask for one. */
async function memberSettings(
  { credentials }: LocalKafka,
  folder: string,
): Promise<Readonly<Record<string, string>>> {
  if (credentials === undefined) return {}
  const passwordFile = join(folder, 'password')
  await writeFile(passwordFile, credentials.users.app, { mode: 0o600 })
  return {
    'kafka.securityProtocol': 'SASL_SSL',
    'kafka.ssl.caFile': credentials.caFile,
    'kafka.sasl.mechanism': 'SCRAM-SHA-512',
    'kafka.sasl.username': 'app',
    'kafka.sasl.passwordFile': passwordFile,
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

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash
}
