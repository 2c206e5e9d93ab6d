import { sleep, waitUntil } from '../../src/core/clock.ts'
import type { Random } from '../../src/core/random.ts'
import { killQuietly, type Member } from './member.ts'
import type { Job } from './job.ts'
import { type ApiName, apis, type ProxyRule } from './proxy.ts'
import type { FaultWorld } from './world.ts'

/** What a fault can lay hands on. */
export interface Scene {
  readonly world: FaultWorld
  readonly jobs: readonly Job[]
  readonly random: Random
  /** For the protocol of the run. */
  readonly note: (what: string) => void
  /** Called after a process has been killed: what must hold at any moment is looked at. */
  readonly checkNow: (job: Job) => Promise<void>
}

/** Does harm and makes it good again: when it resolves, everything that should run runs. */
export type Fault = (scene: Scene) => Promise<void>

/** Longer than the members' session timeout: by then their partitions belong to others. */
const beyondSessionMs = 9_000

const pick = <Item>(random: Random, items: readonly Item[]): Item | undefined =>
  items[random.integer(items.length)]

/** A running member of a job by chance. */
function someMember({ jobs, random }: Scene): { job: Job; member: Member } | undefined {
  const job = pick(random, jobs)
  const member = pick(random, job?.running ?? [])
  return job === undefined || member === undefined ? undefined : { job, member }
}

async function killOne(scene: Scene, job: Job | undefined): Promise<void> {
  const member = pick(scene.random, job?.running ?? [])
  if (job === undefined || member === undefined) return
  scene.note(`kill -9 a member of ${job.group}`)
  await member.kill()
  await scene.checkNow(job)
  await job.startMember().assigned()
}

const killMember: Fault = (scene) => killOne(scene, pick(scene.random, scene.jobs))

const killMemberOfEach: Fault = async (scene) => {
  await Promise.all(scene.jobs.map((job) => killOne(scene, job)))
}

/** All members of one job: nobody is left to finish anything. */
const killAll: Fault = async (scene) => {
  const job = pick(scene.random, scene.jobs)
  if (job === undefined) return
  const count = job.running.length
  scene.note(`kill -9 all ${count} members of ${job.group}`)
  await job.kill()
  await scene.checkNow(job)
  const started = Array.from({ length: count }, () => job.startMember())
  await Promise.all(started.map((member) => member.assigned()))
}

const freezeMember: Fault = async (scene) => {
  const found = someMember(scene)
  if (found === undefined) return
  scene.note(`SIGSTOP a member of ${found.job.group} for ${beyondSessionMs} ms`)
  found.member.signal('SIGSTOP')
  await sleep(beyondSessionMs)
  found.member.signal('SIGCONT')
  await sleep(1_000)
}

const killInference: Fault = async (scene) => {
  const found = someMember(scene)
  const pid = found?.member.inferencePid
  if (pid === undefined) return
  scene.note(`kill -9 the inference process of ${found?.job.group ?? ''}`)
  killQuietly(pid, 'SIGKILL')
  await sleep(500)
}

/** The member takes it for hung, kills and replaces it. */
const freezeInference: Fault = async (scene) => {
  const found = someMember(scene)
  const pid = found?.member.inferencePid
  if (pid === undefined) return
  scene.note(`SIGSTOP the inference process of ${found?.job.group ?? ''}`)
  killQuietly(pid, 'SIGSTOP')
  await sleep(4_000)
  killQuietly(pid, 'SIGCONT')
}

/** Leader of some partitions, perhaps coordinator of groups and transactions, perhaps the controller. */
const killBroker: Fault = async ({ world, random, note }) => {
  const index = random.integer(world.kafka.nodes.length)
  const node = world.kafka.nodes[index]
  if (node === undefined) return
  note(`kill -9 broker ${index + 1}`)
  await node.kill('SIGKILL')
  await sleep(2_000 + random.integer(6_000))
  await node.start()
  await world.kafka.ready()
  note(`broker ${index + 1} is back`)
}

const freezeBroker: Fault = async ({ world, random, note }) => {
  const index = random.integer(world.kafka.nodes.length)
  const node = world.kafka.nodes[index]
  if (node === undefined) return
  note(`SIGSTOP broker ${index + 1}`)
  await node.kill('SIGSTOP')
  await sleep(2_000 + random.integer(8_000))
  await node.kill('SIGCONT')
  await world.kafka.ready()
}

/** Two of three: nothing can be written until one is back. */
const killTwoBrokers: Fault = async ({ world, random, note }) => {
  const spared = random.integer(world.kafka.nodes.length)
  const nodes = world.kafka.nodes.filter((_node, index) => index !== spared)
  note(`kill -9 all brokers but ${spared + 1}`)
  await Promise.all(nodes.map((node) => node.kill('SIGKILL')))
  await sleep(3_000)
  await Promise.all(nodes.map((node) => node.start()))
  await world.kafka.ready()
  note('all brokers are back')
}

const restartBrokers: Fault = async ({ world, note }) => {
  note('restart all brokers one by one')
  for (const node of world.kafka.nodes) {
    await node.kill('SIGTERM')
    await node.start()
    await world.kafka.ready()
  }
}

/** Members come, leave in order, or are killed while they join. */
const changeScale: Fault = async (scene) => {
  const job = pick(scene.random, scene.jobs)
  if (job === undefined) return
  const wanted = pick(scene.random, [1, 2, 4]) ?? 2
  scene.note(`${job.group} goes from ${job.running.length} to ${wanted} members`)
  while (job.running.length < wanted) job.startMember()
  const leaving = job.running.slice(wanted)
  for (const member of leaving) member.signal('SIGTERM')
  await Promise.all(leaving.map((member) => member.ended(40_000)))
  if (scene.random.next() < 0.3) {
    const brief = job.startMember()
    await sleep(1_500 + scene.random.integer(1_500))
    await brief.kill()
  }
}

/** One request or reply, or a few, of one kind are swallowed, held up, or the last thing on their connection. */
const disturbProtocol: Fault = async ({ world, random, note }) => {
  const rule: ProxyRule = {
    api: pick(random, Object.keys(apis) as ApiName[]) ?? 'Produce',
    on: random.next() < 0.5 ? 'request' : 'reply',
    action: pick(random, ['drop', 'cut', 'cutAfter', 'delay'] as const) ?? 'cut',
    delayMs: 200 + random.integer(2_000),
    times: 1 + random.integer(3),
  }
  note(`${rule.action} the ${rule.on} of ${rule.api}, ${rule.times} times`)
  world.proxies.add(rule)
  await waitUntil(() => rule.times === 0, {
    timeoutMs: 4_000,
    onTimeout: () => new Error('it was not asked'),
  }).catch(() => {
    note('not all of them came')
  })
  world.proxies.clear()
}

/** Records are on their way and not on the broker when the member dies. */
const killWhileWritesWait: Fault = async (scene) => {
  const { world, note } = scene
  note('writes are held up')
  world.proxies.add({ api: 'Produce', on: 'request', action: 'delay', delayMs: 2_500, times: 20 })
  await sleep(1_500)
  await Promise.all(scene.jobs.map((job) => killOne(scene, job)))
  world.proxies.clear()
}

/** Transactions are committed, and those who asked for it do not hear so. */
const loseCommitReplies: Fault = async ({ world, note }) => {
  note('replies to EndTxn are lost')
  world.proxies.add({ api: 'EndTxn', on: 'reply', action: 'cut', delayMs: 0, times: 5 })
  await sleep(3_000)
  world.proxies.clear()
}

export const faults = {
  killWhileWritesWait,
  loseCommitReplies,
  disturbProtocol,
  killMember,
  killMemberOfEach,
  killAll,
  freezeMember,
  killInference,
  freezeInference,
  killBroker,
  freezeBroker,
  killTwoBrokers,
  restartBrokers,
  changeScale,
} as const

export type FaultName = keyof typeof faults
