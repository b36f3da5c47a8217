import assert from 'node:assert/strict'
import { type DomainError, type ErrorCode, isDomainError } from '../../src/errors.ts'

/** Waits for a DomainError of this code, and answers it for a closer look. */
export async function rejectsWith(code: ErrorCode, attempt: Promise<unknown>): Promise<DomainError> {
  const error = await attempt.then(
    () => assert.fail(`resolved, where ${code} was expected`),
    (reason: unknown) => reason,
  )
  assert.ok(isDomainError(error), `${String(error)} is not a DomainError`)
  assert.equal(error.code, code, error.message)
  return error
}
