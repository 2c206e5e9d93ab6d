import { sleep, waitUntil } from '../../../src/core/clock.ts'
import { type Fault, pick } from '../fault.ts'
import type { Plan } from '../plan.ts'
import { type ApiName, apis, type ProxyRule } from '../proxy.ts'
import { killMemberOfEach } from './processes.ts'

/** One request or reply, or a few, of one kind are swallowed, held up, or the last thing on their connection. */
const disturbProtocol: Fault = async ({ world, random, note }) => {
  const rule: ProxyRule = {
    api: pick(random, Object.keys(apis) as ApiName[]) ?? 'Produce',
    on: random.next() < 0.5 ? 'request' : 'reply',
    action: pick(random, ['drop', 'cut', 'cutAfter', 'delay'] as const) ?? 'cut',
    delayMs: 200 + random.integer(2_000),
    times: 1 + random.integer(3),
  }
  const wanted = rule.times
  note(`${rule.action} the ${rule.on} of ${rule.api}, ${wanted} times`)
  world.proxies.add(rule)
  await waitUntil(() => rule.times === 0, {
    timeoutMs: 4_000,
    onTimeout: () => new Error('it was not asked'),
  }).catch(() => {
    note('not all of them came')
  })
  world.proxies.clear()
  return rule.times < wanted
}

/** Records are on their way and not on the broker when the member dies. */
export const killWhileWritesWait: Fault = async (scene) => {
  const { world, note } = scene
  note('writes are held up')
  world.proxies.add({ api: 'Produce', on: 'request', action: 'delay', delayMs: 2_500, times: 20 })
  await sleep(1_500)
  const killed = await killMemberOfEach(scene)
  world.proxies.clear()
  return killed
}

/** Transactions are committed, and those who asked for it do not hear so. */
export const loseCommitReplies: Fault = async ({ world, note }) => {
  note('replies to EndTxn are lost')
  const rule: ProxyRule = { api: 'EndTxn', on: 'reply', action: 'cut', delayMs: 0, times: 5 }
  world.proxies.add(rule)
  await sleep(3_000)
  world.proxies.clear()
  return rule.times < 5
}

/** Single requests and replies are lost, late, or the last on their connection. */
export const protocol: Plan = {
  name: 'protocol',
  share: 0.1,
  faults: { disturbProtocol },
  job: { proxied: true, lateRequests: true },
}
