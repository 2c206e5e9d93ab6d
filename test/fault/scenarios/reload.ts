import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep, waitUntil } from '../../../src/core/clock.ts'
import { promote } from '../../../src/models/champion.ts'
import { damageNames, damages } from '../../support/damaged-models.ts'
import { type Fault, pick, type Scene, someMember } from '../fault.ts'
import { killQuietly, type Member } from '../member.ts'
import type { Plan } from '../plan.ts'
import type { ModelReference } from '../reference.ts'
import { killInference } from './inference.ts'
import { killMember } from './processes.ts'

const patienceMs = 180_000
/** Written again and again, so that batches are at work whenever a model takes over. */
const burstMessages = 200
const burstEveryMs = 500

/** What a member serves, from what it logged. */
function servedBy(member: Member): string | undefined {
  const told = member.logged.filter(({ msg }) => msg === 'model is warm' || msg === 'model reloaded')
  return told.at(-1)?.['model'] as string | undefined
}

const membersOf = ({ jobs }: Scene): Member[] => jobs.flatMap((job) => job.running)

/** The version that a scene's members serve not. */
function otherThanServed(scene: Scene): ModelReference {
  const [first, second] = scene.world.models
  const [member] = membersOf(scene)
  return member !== undefined && servedBy(member) === `small@${first.version}` ? second : first
}

/** Gives every group work until the condition holds. */
async function busyUntil(scene: Scene, holds: () => boolean, otherwise: string): Promise<void> {
  await waitUntil(
    async () => {
      await Promise.all(scene.jobs.map((job) => job.burst(burstMessages)))
      return holds()
    },
    { timeoutMs: patienceMs, everyMs: burstEveryMs, onTimeout: () => new Error(otherwise) },
  )
}

/** Promotes a version and lets every member get to serve it. */
async function serveEverywhere(scene: Scene, { version }: ModelReference): Promise<void> {
  await promote(scene.world.modelsFolder, 'small', version)
  const late = (): Member[] => membersOf(scene).filter((member) => servedBy(member) !== `small@${version}`)
  await busyUntil(scene, () => late().length === 0, `not every member serves ${version}`)
}

export const promoteOther: Fault = async (scene) => {
  const other = otherThanServed(scene)
  scene.note(`promote ${other.version}`)
  await serveEverywhere(scene, other)
  return true
}

/** Faster than a version can be made ready: some never serve, and the last one does in the end. */
const promoteInARow: Fault = async (scene) => {
  const other = otherThanServed(scene)
  const turns = 3 + scene.random.integer(4)
  scene.note(`promote ${turns} times in a row`)
  for (let turn = 0; turn < turns; turn++) {
    await promote(scene.world.modelsFolder, 'small', pick(scene.random, scene.world.models)?.version ?? '')
    await sleep(scene.random.integer(600))
  }
  await serveEverywhere(scene, other)
  return true
}

/** Promotes a version that is wrong in some way: no member may serve it, and none may notice otherwise. */
const promoteBroken: Fault = async (scene) => {
  const { jobs, random, world, note, look } = scene
  const damage = pick(random, damageNames) ?? damageNames[0]
  if (damage === undefined) return false
  note(`promote a version with ${damage}`)
  const { version } = await damages[damage].write(world.modelsFolder, 1_000 + random.integer(1_000_000))
  const before = new Map(membersOf(scene).map((member) => [member, servedBy(member)]))
  await writeFile(join(world.modelsFolder, 'small', 'champion'), `${version}\n`)
  const refused = (member: Member): boolean =>
    member.logged.some(({ msg, wanted }) => msg === 'model not reloaded' && wanted === `small@${version}`)
  await busyUntil(
    scene,
    () => membersOf(scene).every(refused),
    `not every member refused the version with ${damage}`,
  )
  for (const job of jobs) {
    for (const member of job.running) {
      const served = servedBy(member)
      look(job, 'a broken version never serves', served === before.get(member), `${damage}: ${served}`)
    }
  }
  await serveEverywhere(scene, otherThanServed(scene))
  return true
}

/** The process of the next model dies while it is made ready, in one member. */
const killNextInference: Fault = async (scene) => {
  const found = someMember(scene)
  if (found === undefined) return false
  const { member, job } = found
  const other = otherThanServed(scene)
  const known = member.inferencePids
  await promote(scene.world.modelsFolder, 'small', other.version)
  let killed: number | undefined
  await waitUntil(
    () => {
      killed = member.inferencePids.find((pid) => !known.includes(pid))
      return killed !== undefined
    },
    { timeoutMs: 10_000, everyMs: 10, onTimeout: () => new Error('no other process was started') },
  ).catch(() => undefined)
  if (killed !== undefined) {
    await sleep(scene.random.integer(500))
    scene.note(`kill -9 the next inference process of ${job.group}`)
    killQuietly(killed, 'SIGKILL')
  }
  await serveEverywhere(scene, other)
  return killed !== undefined
}

/** Two versions take turns under load, broken ones are promoted in between, and processes are killed beside that. */
export const reload: Plan = {
  name: 'reload',
  share: 0.1,
  faults: { promoteOther, promoteBroken, promoteInARow, killNextInference, killMember, killInference },
  job: {
    followsChampion: true,
    // small batches: there is always one at work
    settings: { 'batch.maxRows': 4 },
  },
}
