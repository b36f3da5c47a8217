import { DomainError, type ErrorCode, type ErrorDetails } from '../../errors.ts'

/** How the agent and its client say things to each other: JSON over HTTP, errors with their code. */

export interface WireError {
  readonly error: {
    readonly code: ErrorCode | 'internal'
    readonly message: string
    readonly details?: ErrorDetails
  }
}

/** A line of the answer to an import: events, then exactly one `done` or `error`. A stream that ends without is a failure. */
export const ndjson = 'application/x-ndjson'

export function toWire(error: DomainError): WireError {
  return { error: { code: error.code, message: error.message, details: error.details } }
}

export function fromWire({ error: { code, message, details } }: WireError): Error {
  if (code === 'internal') return new Error(message)
  return new DomainError(code, message, details ?? { resource: 'request' })
}

export function isWireError(value: unknown): value is WireError {
  if (typeof value !== 'object' || value === null || !('error' in value)) return false
  const { error } = value
  return typeof error === 'object' && error !== null && 'code' in error && 'message' in error
}

/** HTTP status of each error code. */
export const statusOf: Readonly<Record<ErrorCode, number>> = {
  invalid: 400,
  digest_mismatch: 422,
  size_mismatch: 422,
  out_of_range: 416,
  missing_reference: 422,
  unsupported: 422,
  too_large: 413,
  unauthorized: 401,
  denied: 403,
  not_found: 404,
  already_exists: 409,
  conflict: 409,
  busy: 409,
  throttled: 429,
  no_space: 507,
  unavailable: 503,
}

/** A registry's challenge is none of ours: who asks the agent is known, and asking again with other tokens is no use. */
export function httpStatusOf({ code, details }: DomainError): number {
  return code === 'unauthorized' && details.resource !== 'request' ? statusOf.denied : statusOf[code]
}
