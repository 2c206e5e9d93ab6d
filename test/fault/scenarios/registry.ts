import { sleep } from '../../../src/core/clock.ts'
import { type FakeRegistry, respond } from '../../support/fake-registry.ts'
import { type Fault, pick } from '../fault.ts'
import type { Plan } from '../plan.ts'
import { someRegisteredMessage } from '../registered-texts.ts'

type Behaviour = NonNullable<FakeRegistry['behaviour']>

const waysToBeDown: Readonly<Record<string, Behaviour>> = {
  'drops every connection': (request) => request.socket.destroy(),
  'answers with status 503': (_request, response) => {
    respond(response, 503, { error_code: 50302, message: 'no leader' })
  },
  'is silent': () => undefined,
}

/** Inputs name schemas that nobody has asked for yet: they wait. */
const stopRegistry: Fault = async ({ world, random, note }) => {
  const how = pick(random, Object.keys(waysToBeDown)) ?? ''
  note(`the registry ${how}`)
  world.registry.behaviour = waysToBeDown[how]
  await sleep(3_000 + random.integer(9_000))
  world.registry.behaviour = undefined
  return true
}

/** Members that start while it is down wait as well: they register the schema of what they write. */
const startWithoutRegistry: Fault = async (scene) => {
  const { world, random, note } = scene
  const job = pick(random, scene.jobs)
  const count = job?.running.length ?? 0
  if (job === undefined || count === 0) return false
  note(`kill -9 all members of ${job.group}, and start them while the registry drops every connection`)
  world.registry.behaviour = waysToBeDown['drops every connection']
  await job.kill()
  await scene.checkNow(job)
  const started = Array.from({ length: count }, () => job.startMember())
  await sleep(2_000 + random.integer(4_000))
  const waiting = started.filter((member) => member.running)
  scene.look(job, 'members wait for the registry', waiting.length === count, 'a member gave up')
  world.registry.behaviour = undefined
  await Promise.all(started.map((member) => member.assigned()))
  return true
}

/** The registry is down while messages name schemas in it; some name schemas that it really does not have. */
export const registry: Plan = {
  name: 'registry',
  share: 0.07,
  faults: { stopRegistry, startWithoutRegistry },
  job: { registry: true, message: someRegisteredMessage },
}
