import { sleep } from '../../../src/core/clock.ts'
import { nodeOf, type Role } from '../cluster-roles.ts'
import { type Fault, pick, type Scene } from '../fault.ts'
import type { Plan } from '../plan.ts'

async function killAndRestart({ world, random, note }: Scene, index: number): Promise<boolean> {
  const node = world.kafka.nodes[index]
  if (node === undefined) return false
  await node.kill('SIGKILL')
  await sleep(2_000 + random.integer(6_000))
  await node.start()
  await world.kafka.ready()
  note(`broker ${index + 1} is back`)
  return true
}

export const killBroker: Fault = (scene) => {
  const index = scene.random.integer(scene.world.kafka.nodes.length)
  scene.note(`kill -9 broker ${index + 1}`)
  return killAndRestart(scene, index)
}

const kill =
  (role: Role): Fault =>
  async (scene) => {
    const job = pick(scene.random, scene.jobs)
    if (job === undefined) return false
    const index = await nodeOf(role, scene.world.client, job)
    scene.note(`kill -9 broker ${index + 1}, the ${role} of ${job.group}`)
    return killAndRestart(scene, index)
  }

export const freezeBroker: Fault = async ({ world, random, note }) => {
  const index = random.integer(world.kafka.nodes.length)
  const node = world.kafka.nodes[index]
  if (node === undefined) return false
  note(`SIGSTOP broker ${index + 1}`)
  await node.kill('SIGSTOP')
  await sleep(2_000 + random.integer(8_000))
  await node.kill('SIGCONT')
  await world.kafka.ready()
  return true
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
  return true
}

const restartBrokers: Fault = async ({ world, note }) => {
  note('restart all brokers one by one')
  for (const node of world.kafka.nodes) {
    await node.kill('SIGTERM')
    await node.start()
    await world.kafka.ready()
  }
  return true
}

/** Brokers die, one by one in each of their offices and two at once, freeze and come back. */
export const brokers: Plan = {
  name: 'brokers',
  share: 0.14,
  faults: {
    killLeader: kill('leader'),
    killGroupCoordinator: kill('group coordinator'),
    killTransactionCoordinator: kill('transaction coordinator'),
    killController: kill('controller'),
    freezeBroker,
    killTwoBrokers,
    restartBrokers,
  },
  job: { lateRequests: true },
}

/** The whole cluster is restarted, broker by broker, five times. */
export const rolling: Plan = { name: 'rolling', share: 0.06, faults: { restartBrokers }, atLeast: 5 }
