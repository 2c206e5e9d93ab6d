import assert from 'node:assert/strict'
import { LabelstreamError, type ErrorCode } from '../../src/core/errors.ts'

/** Passes when the work fails with this code and a one-line message that matches. */
export async function throwsCode(
  work: () => unknown,
  code: ErrorCode,
  message: RegExp = /./,
): Promise<LabelstreamError> {
  try {
    await work()
  } catch (error) {
    assert.ok(error instanceof LabelstreamError, `not our error: ${String(error)}`)
    assert.equal(error.code, code, error.message)
    assert.match(error.message, message)
    assert.doesNotMatch(error.message, /\n/)
    return error
  }
  assert.fail(`nothing was thrown, expected ${code}`)
}
