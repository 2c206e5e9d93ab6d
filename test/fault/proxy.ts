import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, Socket } from 'node:net'
import { Link } from './link.ts'

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
  /** Only what this client asks and is answered. */
  readonly clientId?: string
  /** Only messages of at least this size. */
  readonly minBytes?: number
  /** Called when it strikes; what is let through is on its way by then. */
  readonly strike?: () => void
}

/** Stands before each broker, and clients that start at one of them meet no broker without it. */
export class BrokerProxies {
  /** Where clients connect. */
  readonly brokers: string[] = []
  /** The network before each of them. */
  readonly links: Link[] = []
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()
  /** A broker's own port to its proxy's. */
  readonly #ports = new Map<number, number>()
  #rules: ProxyRule[] = []

  static async start(brokers: readonly string[]): Promise<BrokerProxies> {
    const proxies = new BrokerProxies()
    for (const broker of brokers) {
      const port = Number(broker.split(':').at(-1))
      const link = new Link()
      const server = createServer((client) => {
        proxies.#serve(client, port, link)
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const ownPort = (server.address() as AddressInfo).port
      proxies.#servers.push(server)
      proxies.links.push(link)
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
    for (const link of this.links) link.restore()
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))))
  }

  #serve(client: Socket, brokerPort: number, link: Link): void {
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
    const asked = new Map<number, Question>()
    forwardFrames({ from: client, to: broker, link, end }, (frame) => {
      const question = questionOf(frame)
      asked.set(frame.readInt32BE(8), question)
      return this.#ruleFor(question, 'request', frame.length)
    })
    forwardFrames({ from: broker, to: client, link, end }, (frame) => {
      const question = asked.get(frame.readInt32BE(4))
      asked.delete(frame.readInt32BE(4))
      if (question === undefined) return undefined
      this.#hideBrokers(frame, question)
      return this.#ruleFor(question, 'reply', frame.length)
    })
  }

  #ruleFor({ api, clientId }: Question, on: ProxyRule['on'], sizeBytes: number): ProxyRule | undefined {
    const rule = this.#rules.find(
      (one) =>
        apis[one.api] === api &&
        one.on === on &&
        one.times > 0 &&
        sizeBytes >= (one.minBytes ?? 0) &&
        (one.clientId ?? clientId) === clientId,
    )
    if (rule !== undefined) rule.times -= 1
    return rule
  }

  /** Puts our ports where a reply says where brokers are. The versions are those that kafkajs asks for. */
  #hideBrokers(frame: Buffer, { api, version }: Question): void {
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

interface Question {
  readonly api: number
  readonly version: number
  readonly clientId: string
}

/** The header of a request: size, api, version, correlation id, client id. */
function questionOf(frame: Buffer): Question {
  const length = Math.max(0, frame.readInt16BE(12))
  return {
    api: frame.readInt16BE(4),
    version: frame.readInt16BE(6),
    clientId: frame.toString('utf8', 14, 14 + length),
  }
}

/** Passes on length-prefixed messages, one at a time; `inspect` may change one or name the rule for it. */
function forwardFrames(
  way: { readonly from: Socket; readonly to: Socket; readonly link: Link; readonly end: () => void },
  inspect: (frame: Buffer) => ProxyRule | undefined,
): void {
  const { from, to, link, end } = way
  let rest: Buffer = Buffer.alloc(0)
  let held = false
  let underWay = 0
  let last = Promise.resolve()
  const deliver = (frame: Buffer): void => {
    if (to.writable) to.write(frame)
  }
  const pass = (frame: Buffer): void => {
    if (underWay === 0 && link.quick) {
      deliver(frame)
      return
    }
    underWay++
    last = last
      .then(() => link.pass(frame.length))
      .then(() => {
        underWay--
        deliver(frame)
      })
  }
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
          pass(frame)
          from.resume()
          next()
        }, rule.delayMs)
        return
      }
      if (rule?.action === 'cut') {
        end()
        rule.strike?.()
        return
      }
      if (rule?.action === 'drop') continue
      pass(frame)
      if (rule?.action === 'cutAfter') {
        void last.then(() => {
          to.end()
          rule.strike?.()
          setTimeout(end, 50)
        })
        return
      }
    }
  }
  from.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    if (!held) next()
  })
}
