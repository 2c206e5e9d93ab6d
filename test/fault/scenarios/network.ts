import { sleep } from '../../../src/core/clock.ts'
import { type Fault, pick } from '../fault.ts'
import type { Plan } from '../plan.ts'

/** Long answers to one broker's clients: as a broker behind a poor line, or one that is busy with something else. */
const slowBroker: Fault = async ({ world, random, note }) => {
  const link = pick(random, world.proxies.links)
  if (link === undefined) return false
  const delayMs = 100 + random.integer(700)
  const bytesPerSecond = 50_000 + random.integer(450_000)
  note(`${delayMs} ms and ${bytesPerSecond} bytes a second to one broker`)
  link.slow({ delayMs, bytesPerSecond })
  await sleep(5_000 + random.integer(10_000))
  link.restore()
  return true
}

/** Nothing passes between one broker and its clients, while the brokers see each other. */
const silentBroker: Fault = async ({ world, random, note }) => {
  const link = pick(random, world.proxies.links)
  if (link === undefined) return false
  note('nothing passes to or from one broker')
  link.stop()
  await sleep(3_000 + random.integer(12_000))
  link.restore()
  return true
}

/** The network to one of the brokers is slow, or stands still. */
export const network: Plan = {
  name: 'network',
  share: 0.08,
  faults: { slowBroker, silentBroker },
  job: { proxied: true, lateRequests: true },
}
