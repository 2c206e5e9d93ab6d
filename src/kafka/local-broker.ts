import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monotonicMs, sleep } from '../core/clock.ts'
import { asLabelstreamError, LabelstreamError } from '../core/errors.ts'
import { makeOwnedFolder } from '../core/owned-folder.ts'
import { connectKafka, type KafkaOptions, quietly } from './connect.ts'
import { clientHosts, type NodePorts, scramArguments, serverProperties } from './local-config.ts'
import { startDockerKafka } from './local-docker.ts'
import { kafkaJars, kafkaJarsAreCached } from './local-jars.ts'
import { JavaNode, type LocalNode } from './local-node.ts'
import { freePorts } from './local-ports.ts'
import { type LocalCredentials, type LocalSecurity, makeCredentials } from './local-security.ts'
import { dockerAnswers, javaCommand, requireJava, requireMaven, runTool } from './local-tools.ts'

export interface LocalKafkaOptions {
  /** 1 (default), or 3 with replication factor 3 and min ISR 2. Each is controller and broker. */
  readonly nodes?: 1 | 3 | undefined
  readonly security?: LocalSecurity | undefined
  /** Where the data go; kept at stop. Default: a temporary folder that is deleted. */
  readonly folder?: string | undefined
  readonly onProgress?: ((message: string) => void) | undefined
}

/** Kafka brokers of our own on 127.0.0.1: for `labelstream demo` and for tests. They end with this process. */
export interface LocalKafka {
  /** Where clients connect, with the chosen security. */
  readonly brokers: string[]
  /** Where everybody is a super user without security: for preparing tests. The same as `brokers` with 'none'. */
  readonly internalBrokers: string[]
  /** Certificate and passwords; undefined with 'none'. */
  readonly credentials: LocalCredentials | undefined
  readonly nodes: readonly LocalNode[]
  /** Resolves when that many nodes (default: all) answer. After `kill` and `start`. */
  ready(nodes?: number): Promise<void>
  /** Ends every node and deletes the temporary data. A second call does nothing. */
  stop(): Promise<void>
}

const readyTimeoutMs = 90_000

/**
 * Starts real Kafka from Maven Central's jars, or from the Docker image where Java or Maven is missing.
 * Throws PREREQUISITE_MISSING (what to install) or LOCAL_BROKER_FAILED (with the end of the broker's log).
 */
export async function startLocalKafka(options: LocalKafkaOptions = {}): Promise<LocalKafka> {
  const progress = options.onProgress ?? (() => {})
  try {
    await requireJava()
    if (!(await kafkaJarsAreCached())) await requireMaven()
  } catch (missing) {
    const dockerWillDo = (options.nodes ?? 1) === 1 && (options.security ?? 'none') === 'none'
    if (dockerWillDo && (await dockerAnswers())) {
      progress('Java or Maven is missing: starting Kafka in Docker')
      return startDockerKafka()
    }
    throw missing
  }
  const jars = await kafkaJars(progress)
  try {
    return await startOnce(options, jars, progress)
  } catch (error) {
    // between asking for free ports and taking them, another process may have been quicker
    if (!/Address already in use|BindException/i.test(asLabelstreamError(error).message)) throw error
    return startOnce(options, jars, progress)
  }
}

async function startOnce(
  options: LocalKafkaOptions,
  jars: string,
  progress: (message: string) => void,
): Promise<LocalKafka> {
  const count = options.nodes ?? 1
  const security = options.security ?? 'none'
  const folder = options.folder ?? (await makeOwnedFolder(tmpdir(), 'labelstream-kafka-'))
  const nodes: JavaNode[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map(endNode))
    if (options.folder === undefined) await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
  try {
    const credentials =
      security === 'none' ? undefined : await makeCredentials(join(folder, 'security'), security)
    const ports = await portsFor(count)
    const clusterId = await newClusterId(jars)
    progress(`starting ${count === 1 ? 'a local Kafka broker' : `${count} local Kafka brokers`}`)
    await Promise.all(
      ports.map(async (_port, index) => {
        const nodeFolder = join(folder, `node-${index + 1}`)
        const dataFolder = join(nodeFolder, 'data')
        await mkdir(nodeFolder, { recursive: true })
        const properties = serverProperties({
          nodeId: index + 1,
          allPorts: ports,
          dataFolder,
          security,
          credentials,
        })
        await writeFile(join(nodeFolder, 'server.properties'), properties, { mode: 0o600 })
        if (!existsSync(join(dataFolder, 'meta.properties')))
          await formatNode(jars, nodeFolder, clusterId, credentials)
      }),
    )
    for (const index of ports.keys()) nodes.push(new JavaNode(join(folder, `node-${index + 1}`), jars))
    await Promise.all(nodes.map((node) => node.start()))
    const internalBrokers = ports.map(({ internal }) => `127.0.0.1:${internal}`)
    const ready = (wanted: number = count): Promise<void> => waitForBrokers(internalBrokers, wanted, nodes)
    await ready()
    return {
      brokers: ports.map(({ client }) => `${clientHosts[security]}:${client}`),
      internalBrokers,
      credentials,
      nodes,
      ready,
      stop: once(stop),
    }
  } catch (error) {
    await quietly(stop(), 60_000)
    throw error
  }
}

/** Options to connect to a local broker as `user` ('admin' or 'app' where it asks for passwords). */
export function localKafkaOptions(
  kafka: Pick<LocalKafka, 'brokers' | 'credentials'>,
  user: 'admin' | 'app' = 'app',
): KafkaOptions {
  const base = { brokers: kafka.brokers, clientId: 'labelstream' }
  if (kafka.credentials === undefined) return base
  return {
    ...base,
    ssl: { caFile: kafka.credentials.caFile },
    sasl: { mechanism: 'scram-sha-512', username: user, password: kafka.credentials.users[user] },
  }
}

async function portsFor(count: number): Promise<NodePorts[]> {
  const free = (await freePorts(count * 3)).values()
  const next = (): number => free.next().value ?? 0
  return Array.from({ length: count }, () => ({ client: next(), controller: next(), internal: next() }))
}

async function newClusterId(jars: string): Promise<string> {
  const printed = await storageTool(jars, ['random-uuid'], 'making a cluster id')
  return printed.trim().split('\n').at(-1) ?? ''
}

async function formatNode(
  jars: string,
  nodeFolder: string,
  clusterId: string,
  credentials: LocalCredentials | undefined,
): Promise<void> {
  const config = join(nodeFolder, 'server.properties')
  await storageTool(
    jars,
    ['format', '-t', clusterId, '-c', config, ...scramArguments(credentials)],
    'formatting the broker’s storage',
  )
}

function storageTool(jars: string, args: readonly string[], doing: string): Promise<string> {
  const java = ['-Xmx128m', '-XX:TieredStopAtLevel=1', '-cp', join(jars, '*'), 'kafka.tools.StorageTool']
  return runTool(javaCommand(), [...java, ...args], doing)
}

/**
 * Kafka logs nothing that says "ready": it is ready when each node answers by itself and knows the others. What one says
 * of another may be old: a node that was killed counts as there for seconds.
 */
async function waitForBrokers(
  brokers: readonly string[],
  wanted: number,
  nodes: readonly JavaNode[],
): Promise<void> {
  const deadline = monotonicMs() + readyTimeoutMs
  while ((await answering(brokers, wanted)) < wanted) {
    const running = nodes.filter((node) => node.pid !== undefined).length
    if (running < wanted || monotonicMs() > deadline) {
      const log = await nodes.find((node) => running >= wanted || node.pid === undefined)?.lastLog()
      const what = running < wanted ? 'ended' : `did not answer within ${readyTimeoutMs / 1000} s`
      throw new LabelstreamError('LOCAL_BROKER_FAILED', `the local Kafka broker ${what}: ${log ?? ''}`)
    }
    await sleep(100)
  }
}

async function answering(brokers: readonly string[], wanted: number): Promise<number> {
  const known = await Promise.all(brokers.map(brokersKnownTo))
  return known.filter((count) => count >= wanted).length
}

async function brokersKnownTo(broker: string): Promise<number> {
  const client = connectKafka({
    brokers: [broker],
    clientId: 'labelstream-ready',
    connectionTimeoutMs: 1_000,
  })
  const admin = client.open().admin({ retry: { retries: 0 } })
  try {
    await client.connect(admin, 'waiting for the local broker')
    return (await admin.describeCluster()).brokers.length
  } catch {
    return 0
  } finally {
    await quietly(admin.disconnect())
  }
}

async function endNode(node: JavaNode): Promise<void> {
  try {
    await node.kill('SIGTERM')
  } catch {
    await node.kill('SIGKILL')
  }
}

function once(stop: () => Promise<void>): () => Promise<void> {
  let stopped: Promise<void> | undefined
  return () => (stopped ??= stop())
}
