import { AssertionError } from 'node:assert'
import type { Answer, Call, RegistryClient } from '../support/registry-client.ts'
import { type Tally, Violation } from './ledger.ts'

export interface Wanted extends Call {
  /** Statuses that are answers to the question; 503 and a broken connection always may be. */
  readonly allowed: readonly number[]
}

/**
 * Sends a request while everything around the registry fails.
 *
 * @returns undefined when nothing is known of what it has done: no answer, or one that says `later`.
 * @throws Violation for an answer that nobody may give.
 */
export async function ask(
  client: RegistryClient,
  tally: Tally,
  method: string,
  path: string,
  { allowed, ...call }: Wanted,
): Promise<Answer | undefined> {
  const answer = await client.send(method, path, call).catch((error: unknown) => {
    if (!isBrokenConnection(error)) throw error
    tally.broken += 1
    return undefined
  })
  if (answer === undefined) return undefined
  const { status, headers } = answer
  // The balancer's own: no replica is left at the moment.
  if (status === 502 && headers['docker-distribution-api-version'] === undefined) {
    tally.broken += 1
    return undefined
  }
  if (status === 503) {
    if (headers['retry-after'] === undefined)
      throw new Violation(`${method} ${path}: 503 without Retry-After`)
    tally.refused += 1
    return undefined
  }
  if (!allowed.includes(status))
    throw new Violation(`${method} ${path}: ${status} ${answer.bytes.toString().slice(0, 500)}`)
  return answer
}

function isBrokenConnection(error: unknown): boolean {
  if (error instanceof AssertionError || !(error instanceof Error)) return false
  return 'code' in error || isBrokenConnection(error.cause)
}
