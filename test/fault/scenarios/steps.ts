import { waitUntil } from '../../../src/core/clock.ts'
import type { DeliveryMode } from '../checker.ts'
import { type Fault, pick } from '../fault.ts'
import type { Plan } from '../plan.ts'
import type { ApiName } from '../proxy.ts'

/** A place on the way of a message, told by the request or reply that passes there. */
interface Step {
  readonly api: ApiName
  readonly on: 'request' | 'reply'
  /** Whether it still reaches the other side. */
  readonly passes: boolean
  /** Only as large as with records in it. */
  readonly minBytes?: number
  /** Undefined: in both. */
  readonly mode?: DeliveryMode
}

const withRecords = 1_000
const patienceMs = 15_000
const burstMessages = 300

/** In the order of a message's way. */
const steps: Readonly<Record<string, Step>> = {
  whileItJoins: { api: 'JoinGroup', on: 'request', passes: true },
  whenItHasJoined: { api: 'JoinGroup', on: 'reply', passes: true },
  asItFences: { api: 'InitProducerId', on: 'request', passes: true, mode: 'exactly-once' },
  afterFetch: { api: 'Fetch', on: 'reply', passes: true, minBytes: withRecords },
  afterScoring: { api: 'Produce', on: 'request', passes: false },
  asTheTransactionBegins: { api: 'AddPartitionsToTxn', on: 'request', passes: true, mode: 'exactly-once' },
  whenRecordsAreSent: { api: 'Produce', on: 'request', passes: true },
  afterProduce: { api: 'Produce', on: 'reply', passes: true },
  beforeOffsets: { api: 'TxnOffsetCommit', on: 'request', passes: false, mode: 'exactly-once' },
  afterOffsets: { api: 'TxnOffsetCommit', on: 'reply', passes: true, mode: 'exactly-once' },
  beforeEndTxn: { api: 'EndTxn', on: 'request', passes: false, mode: 'exactly-once' },
  whenEndTxnIsSent: { api: 'EndTxn', on: 'request', passes: true, mode: 'exactly-once' },
  afterEndTxn: { api: 'EndTxn', on: 'reply', passes: true, mode: 'exactly-once' },
  beforeCommit: { api: 'OffsetCommit', on: 'request', passes: false, mode: 'at-least-once' },
  whenCommitIsSent: { api: 'OffsetCommit', on: 'request', passes: true, mode: 'at-least-once' },
  afterCommit: { api: 'OffsetCommit', on: 'reply', passes: true, mode: 'at-least-once' },
}

/** Kills the member whose request or reply is the next of its kind, in that moment. */
const killAt =
  (step: Step): Fault =>
  async (scene) => {
    const { world, random, note, jobs } = scene
    const job = pick(
      random,
      jobs.filter(({ options }) => step.mode === undefined || options.mode === step.mode),
    )
    const joins = step.api === 'JoinGroup' || step.api === 'InitProducerId'
    const member = joins ? job?.startMember() : pick(random, job?.running ?? [])
    if (job === undefined || member === undefined) return false
    const where = `${step.passes ? 'after' : 'instead of'} the ${step.on} of ${step.api}`
    note(`kill -9 a member of ${job.group} ${where}`)
    let struck = false
    world.proxies.add({
      api: step.api,
      on: step.on,
      action: step.passes ? 'cutAfter' : 'cut',
      delayMs: 0,
      times: 1,
      clientId: member.clientId,
      minBytes: step.minBytes ?? 0,
      strike: () => {
        struck = true
        member.signal('SIGKILL')
      },
    })
    // nothing passes any more when all is written
    if (!job.producing) await job.burst(burstMessages)
    await waitUntil(() => struck, {
      timeoutMs: patienceMs,
      onTimeout: () => new Error('it did not come'),
    }).catch(() => {
      note('it did not come')
    })
    world.proxies.clear()
    if (struck || joins) await member.kill()
    if (!struck) return false
    await scene.checkNow(job)
    if (!joins) await job.startMember().assigned()
    return true
  }

/** kill -9 at each step of a message's way. */
export const stepByStep: Plan = {
  name: 'steps',
  share: 0.14,
  faults: Object.fromEntries(Object.entries(steps).map(([name, step]) => [name, killAt(step)])),
  // a list with a step left out is not the list
  atLeast: Object.keys(steps).length,
  job: { proxied: true },
}
