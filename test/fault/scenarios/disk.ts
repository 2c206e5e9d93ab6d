import { sleep, waitUntil } from '../../../src/core/clock.ts'
import { type Fault } from '../fault.ts'
import type { Plan } from '../plan.ts'

const haltPatienceMs = 40_000
const progressPatienceMs = 60_000

/**
 * No space is left where a broker keeps its logs. It halts, since it cannot promise anything any more; the other two
 * go on; it comes back when there is space again.
 */
const fillDisk: Fault = async (scene) => {
  const { world, random, note } = scene
  const index = random.integer(world.kafka.nodes.length)
  const node = world.kafka.nodes[index]
  if (node === undefined || world.disks === undefined) return false
  note(`the disk of broker ${index + 1} is full`)
  await world.disks.fill(index)
  const halted = await waitUntil(() => node.pid === undefined, {
    timeoutMs: haltPatienceMs,
    onTimeout: () => new Error('it needed no space'),
  }).then(
    () => true,
    () => false,
  )
  if (halted) {
    note(`broker ${index + 1} has halted`)
    for (const job of scene.jobs) {
      const before = await job.committed()
      // what was written already may be all there is; then nothing can move
      const moved = await waitUntil(async () => (await job.committed()) > before || job.producing === false, {
        timeoutMs: progressPatienceMs,
        everyMs: 500,
        onTimeout: () => new Error('it stands still'),
      }).then(
        () => true,
        () => false,
      )
      scene.look(job, 'groups go on while a broker has no space', moved, `${before} offsets and no more`)
    }
  } else note('it needed no space')
  await world.disks.makeRoom(index)
  await sleep(random.integer(2_000))
  await node.start()
  await world.kafka.ready()
  note(`broker ${index + 1} has space and is back`)
  return halted
}

/** One broker after another runs out of space. */
export const disk: Plan = { name: 'disk', share: 0.05, faults: { fillDisk }, world: 'small disks' }
