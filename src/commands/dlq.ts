import { deadLetterReason, replayedMessage } from '../formats/dead-letter.ts'
import { endOffsets } from '../kafka/admin.ts'
import { readRange } from '../kafka/read-range.ts'
import { Writer } from '../kafka/writer.ts'
import type { CommandContext, CommandSpec } from './command.ts'
import { kafkaClientOf } from './kafka-client.ts'
import { numberOption, optionalOption, table } from './output.ts'

const settings = ['deadLetters.topic', 'input.topic', 'kafka.'] as const

export const dlqList: CommandSpec = {
  name: 'dlq list',
  summary: 'dead letters by reason, and the newest of them',
  options: [{ flags: '--limit <count>', help: 'how many of the newest to show (default 20)' }],
  settings,
  run: async (context, _positional, options) => {
    const limit = numberOption(options, 'limit', { min: 0, max: 100_000, integer: true }) ?? 20
    const topic = context.settings['deadLetters.topic']
    const byReason = new Map<string, number>()
    const letters: { code: string; position: string; stage: string; sizeBytes: number; message: string }[] =
      []
    for await (const letter of readRange(kafkaClientOf(context.settings, context.log), topic)) {
      const reason = deadLetterReason(letter.headers)
      const code = reason?.code ?? '(not a dead letter)'
      byReason.set(code, (byReason.get(code) ?? 0) + 1)
      letters.push({
        code,
        position: reason === undefined ? '' : `${reason.topic}/${reason.partition}/${reason.offset}`,
        stage: reason?.stage ?? '',
        sizeBytes: letter.value?.length ?? 0,
        message: reason?.message ?? '',
      })
      if (letters.length > limit) letters.shift()
    }
    context.printJson({ topic, reasons: Object.fromEntries(byReason), newest: letters })
    context.print(table(['Reason', 'Messages'], [...byReason]))
    const rows = letters.map(({ position, code, sizeBytes, message }) => [position, code, sizeBytes, message])
    context.print(`\n${table(['Input', 'Reason', 'Bytes', 'Why'], rows)}`)
  },
}

export const dlqReplay: CommandSpec = {
  name: 'dlq replay',
  summary: 'put dead letters back on the topic they came from, as they were',
  options: [
    { flags: '--reason <code>', help: 'only those that died of this, such as INPUT_TEXT_TOO_LARGE' },
    { flags: '--dry-run', help: 'count them, write nothing' },
  ],
  settings,
  examples: ['labelstream dlq replay --reason INPUT_TEXT_TOO_LARGE --dry-run'],
  run: async (context, _positional, options) => {
    const wanted = optionalOption(options, 'reason')
    const { replayed, skipped } = await replay(context, wanted, options.dryRun === true)
    context.printJson({ replayed, skipped, dryRun: options.dryRun === true })
    context.print(
      `${replayed} ${options.dryRun === true ? 'would be replayed' : 'replayed'}, ${skipped} left as they are`,
    )
  },
}

/** A letter stays on its topic: Kafka deletes nothing. What dies again is a new letter with both reasons. */
async function replay(
  context: CommandContext,
  wanted: string | undefined,
  dryRun: boolean,
): Promise<{ replayed: number; skipped: number }> {
  const client = kafkaClientOf(context.settings, context.log)
  const topic = context.settings['deadLetters.topic']
  // fixed before the first write, so that letters that die again at once are not read again
  const to = await endOffsets(client, topic)
  const writer = await Writer.connect(client)
  let replayed = 0
  let skipped = 0
  try {
    for await (const letter of readRange(client, topic, { to })) {
      const reason = deadLetterReason(letter.headers)
      if (reason === undefined || (wanted !== undefined && reason.code !== wanted)) {
        skipped++
        continue
      }
      replayed++
      if (!dryRun) await writer.send(reason.topic, reason.partition, [replayedMessage(letter)])
    }
  } finally {
    await writer.close()
  }
  return { replayed, skipped }
}
