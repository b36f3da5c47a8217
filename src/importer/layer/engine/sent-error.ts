import { DomainError, type ErrorCode, type ErrorDetails } from '../../../errors.ts'

/** An error as plain data: a class does not survive the way between threads. */
export type SentError =
  | {
      readonly type: 'domain'
      readonly code: ErrorCode
      readonly message: string
      readonly details: ErrorDetails
      readonly cause: string | undefined
    }
  | { readonly type: 'bug'; readonly message: string; readonly stack: string | undefined }

export function packError(error: unknown): SentError {
  if (!(error instanceof DomainError))
    return error instanceof Error
      ? { type: 'bug', message: `${error.name}: ${error.message}`, stack: error.stack }
      : { type: 'bug', message: String(error), stack: undefined }
  const { code, message, details, cause } = error
  return { type: 'domain', code, message, details, cause: cause instanceof Error ? String(cause) : undefined }
}

/** The same error, except that its cause is text. */
export function unpackError(sent: SentError): Error {
  if (sent.type === 'domain')
    return new DomainError(sent.code, sent.message, sent.details, { cause: sent.cause })
  const error = new Error(sent.message)
  // Where it happened; our own stack says only that we were told.
  if (sent.stack !== undefined) error.stack = sent.stack
  return error
}
