import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, Socket } from 'node:net'

/** Requests that a rule can name, by their number in Kafka's protocol. */
export const apis = {
  Produce: 0,
  Fetch: 1,
  OffsetCommit: 8,
  JoinGroup: 11,
  Heartbeat: 12,
  InitProducerId: 22,
  AddPartitionsToTxn: 24,
  AddOffsetsToTxn: 25,
  EndTxn: 26,
  TxnOffsetCommit: 28,
} as const
export type ApiName = keyof typeof apis

const metadataApi = 3
const findCoordinatorApi = 10

/**
 * What happens to a request or a reply: `drop` swallows it, `cut` swallows it and ends the connection, `cutAfter`
 * lets it through and ends the connection, `delay` holds it and what comes behind it.
 */
export interface ProxyRule {
  readonly api: ApiName
  readonly on: 'request' | 'reply'
  readonly action: 'drop' | 'cut' | 'cutAfter' | 'delay'
  readonly delayMs: number
  /** How often it still strikes. */
  times: number
}

/** Stands before each broker, and clients that start at one of them meet no broker without it. */
export class BrokerProxies {
  /** Where clients connect. */
  readonly brokers: string[] = []
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()
  /** A broker's own port to its proxy's. */
  readonly #ports = new Map<number, number>()
  #rules: ProxyRule[] = []

  static async start(brokers: readonly string[]): Promise<BrokerProxies> {
    const proxies = new BrokerProxies()
    for (const broker of brokers) {
      const port = Number(broker.split(':').at(-1))
      const server = createServer((client) => {
        proxies.#serve(client, port)
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const ownPort = (server.address() as AddressInfo).port
      proxies.#servers.push(server)
      proxies.#ports.set(port, ownPort)
      proxies.brokers.push(`127.0.0.1:${ownPort}`)
    }
    return proxies
  }

  /** In force until it has struck so often, or the rules are cleared. */
  add(rule: ProxyRule): void {
    this.#rules.push(rule)
  }

  clear(): void {
    this.#rules = []
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))))
  }

  #serve(client: Socket, brokerPort: number): void {
    const broker = new Socket()
    broker.connect(brokerPort, '127.0.0.1')
    const end = (): void => {
      client.destroy()
      broker.destroy()
    }
    for (const socket of [client, broker]) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', end)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        end()
      })
    }
    /** What was asked under a correlation id. */
    const asked = new Map<number, { api: number; version: number }>()
    forwardFrames(client, broker, end, (frame) => {
      const api = frame.readInt16BE(4)
      asked.set(frame.readInt32BE(8), { api, version: frame.readInt16BE(6) })
      return this.#ruleFor(api, 'request')
    })
    forwardFrames(broker, client, end, (frame) => {
      const question = asked.get(frame.readInt32BE(4))
      asked.delete(frame.readInt32BE(4))
      if (question === undefined) return undefined
      this.#hideBrokers(frame, question)
      return this.#ruleFor(question.api, 'reply')
    })
  }

  #ruleFor(api: number, on: ProxyRule['on']): ProxyRule | undefined {
    const rule = this.#rules.find((one) => apis[one.api] === api && one.on === on && one.times > 0)
    if (rule !== undefined) rule.times -= 1
    return rule
  }

  /** Puts our ports where a reply says where brokers are. The versions are those that kafkajs asks for. */
  #hideBrokers(frame: Buffer, { api, version }: { api: number; version: number }): void {
    const reader = { at: 8 }
    if (api === metadataApi) {
      if (version >= 3) reader.at += 4
      const count = frame.readInt32BE(reader.at)
      reader.at += 4
      for (let index = 0; index < count; index++) {
        this.#hideBroker(frame, reader)
        if (version >= 1) skipString(frame, reader)
      }
    } else if (api === findCoordinatorApi) {
      if (version >= 1) reader.at += 4
      reader.at += 2
      if (version >= 1) skipString(frame, reader)
      this.#hideBroker(frame, reader)
    }
  }

  /** node id, host, port */
  #hideBroker(frame: Buffer, reader: { at: number }): void {
    reader.at += 4
    skipString(frame, reader)
    const port = frame.readInt32BE(reader.at)
    frame.writeInt32BE(this.#ports.get(port) ?? port, reader.at)
    reader.at += 4
  }
}

function skipString(frame: Buffer, reader: { at: number }): void {
  reader.at += 2 + Math.max(0, frame.readInt16BE(reader.at))
}

/** Passes on length-prefixed messages, one at a time; `inspect` may change one or name the rule for it. */
function forwardFrames(
  from: Socket,
  to: Socket,
  end: () => void,
  inspect: (frame: Buffer) => ProxyRule | undefined,
): void {
  let rest: Buffer = Buffer.alloc(0)
  let held = false
  const next = (): void => {
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const frame = rest.subarray(0, 4 + rest.readInt32BE(0))
      rest = rest.subarray(frame.length)
      const rule = inspect(frame)
      if (rule?.action === 'delay') {
        held = true
        from.pause()
        setTimeout(() => {
          held = false
          if (!to.destroyed) to.write(frame)
          from.resume()
          next()
        }, rule.delayMs)
        return
      }
      if (rule?.action === 'cut') {
        end()
        return
      }
      if (rule?.action === 'drop') continue
      to.write(frame)
      if (rule?.action === 'cutAfter') {
        to.end()
        setTimeout(end, 50)
        return
      }
    }
  }
  from.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    if (!held) next()
  })
}
