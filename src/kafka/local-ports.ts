import { randomInt } from 'node:crypto'
import { createServer, type Server } from 'node:net'
import { once } from 'node:events'

/**
 * Free ports on 127.0.0.1, all different. They lie below the range from which systems take the local end of
 * outgoing connections: a broker's port stays its own while the broker is down, and a client that keeps
 * knocking there cannot end up connected to itself.
 */
export async function freePorts(count: number): Promise<number[]> {
  const held: Server[] = []
  try {
    const ports: number[] = []
    while (ports.length < count) {
      const port = randomInt(15_000, 32_000)
      const server = await tryListen(port)
      if (server === undefined) continue
      held.push(server)
      ports.push(port)
    }
    return ports
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))))
  }
}

async function tryListen(port: number): Promise<Server | undefined> {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
    return server
  } catch {
    return undefined
  }
}
