import { inspect } from 'node:util'

/** A reporter for node:test that prints failures and, at the end, the counts; nothing for what passes. */
export async function* quiet(events) {
  let passed = 0
  let failed = 0
  for await (const { type, data } of events) {
    if (type === 'test:pass' && data.details.type !== 'suite') passed++
    if (type === 'test:fail') {
      const error = data.details.error?.cause ?? data.details.error
      const isGroup = data.details.type === 'suite' || data.details.error?.failureType === 'subtestsFailed'
      if (!isGroup) {
        failed++
        yield `✖ ${data.name} (${data.file ?? ''})\n${inspect(error, { depth: 4 }).replaceAll(/^/gm, '    ')}\n`
      }
    }
    if (type === 'test:stderr') yield data.message
  }
  yield `${passed} passed, ${failed} failed\n`
}
