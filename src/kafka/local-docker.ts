import { randomBytes } from 'node:crypto'
import { monotonicMs, sleep } from '../core/clock.ts'
import { LabelstreamError } from '../core/errors.ts'
import { connectKafka, quietly } from './connect.ts'
import type { LocalKafka } from './local-broker.ts'
import { kafkaVersion } from './local-jars.ts'
import type { LocalNode } from './local-node.ts'
import { freePorts } from './local-ports.ts'
import { lastLines, runTool } from './local-tools.ts'

const readyTimeoutMs = 120_000

/**
 * One broker from Kafka's own image, for machines with Docker and without Java or Maven; without security.
 * Written against the image's documented environment variables; it has not been run on the machine where
 * this was developed, which has no Docker engine.
 */
export async function startDockerKafka(): Promise<LocalKafka> {
  const [port] = await freePorts(1)
  if (port === undefined)
    throw new LabelstreamError('LOCAL_BROKER_FAILED', 'no free port for the local broker')
  const name = `labelstream-kafka-${randomBytes(4).toString('hex')}`
  const node = new ContainerNode(name)
  const brokers = [`127.0.0.1:${port}`]
  const stop = async (): Promise<void> => {
    process.removeListener('exit', abandon)
    await quietly(docker(['rm', '-f', '-v', name]), 60_000)
  }
  const abandon = (): void => {
    // nothing can be awaited here; the engine finishes it
    void docker(['rm', '-f', '-v', name]).catch(() => {})
  }
  process.once('exit', abandon)
  try {
    await docker([
      'run',
      '-d',
      '--name',
      name,
      '-p',
      `127.0.0.1:${port}:${port}`,
      ...environment(port),
      image,
    ])
    await node.learnPid()
    await answers(brokers, name)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    brokers,
    internalBrokers: brokers,
    credentials: undefined,
    nodes: [node],
    ready: () => answers(brokers, name),
    stop,
  }
}

const image = `apache/kafka:${kafkaVersion}`

function environment(port: number): string[] {
  const settings = {
    KAFKA_NODE_ID: '1',
    KAFKA_PROCESS_ROLES: 'broker,controller',
    KAFKA_LISTENERS: `CLIENT://0.0.0.0:${port},CONTROLLER://localhost:9093`,
    KAFKA_ADVERTISED_LISTENERS: `CLIENT://127.0.0.1:${port}`,
    KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
    KAFKA_INTER_BROKER_LISTENER_NAME: 'CLIENT',
    KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    KAFKA_CONTROLLER_QUORUM_VOTERS: '1@localhost:9093',
    KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
    KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1',
    KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: '1',
    KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: '1',
    KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR: '1',
    KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR: '1',
    KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-e', `${name}=${value}`])
}

class ContainerNode implements LocalNode {
  readonly #name: string
  #pid: number | undefined

  constructor(name: string) {
    this.#name = name
  }

  get pid(): number | undefined {
    return this.#pid
  }

  async learnPid(): Promise<void> {
    const printed = await docker(['inspect', '-f', '{{.State.Pid}}', this.#name])
    const pid = Number(printed.trim())
    this.#pid = pid > 0 ? pid : undefined
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    await docker(['kill', '-s', signal, this.#name])
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') return
    await docker(['wait', this.#name])
    this.#pid = undefined
  }

  async start(): Promise<void> {
    await docker(['start', this.#name])
    await this.learnPid()
  }
}

function docker(args: readonly string[]): Promise<string> {
  return runTool('docker', args, `docker ${args[0] ?? ''}`)
}

async function answers(brokers: readonly string[], name: string): Promise<void> {
  const deadline = monotonicMs() + readyTimeoutMs
  for (;;) {
    const client = connectKafka({ brokers, clientId: 'labelstream-ready', connectionTimeoutMs: 1_000 })
    const admin = client.open().admin({ retry: { retries: 0 } })
    try {
      await client.connect(admin, 'waiting for the local broker')
      return
    } catch {
      if (monotonicMs() > deadline) break
      await sleep(250)
    } finally {
      await quietly(admin.disconnect())
    }
  }
  const log = await docker(['logs', '--tail', '20', name]).catch(() => '')
  throw new LabelstreamError('LOCAL_BROKER_FAILED', `Kafka in Docker did not answer: ${lastLines(log, 8)}`)
}
