import { type ErrorCode, isAbort, isDomainError, type Resource } from '../errors.ts'
import { printable, printableLines } from './printable.ts'

/** Exit codes of every command. They are part of the interface; README lists them. */
export const exitCodes = Object.freeze({
  success: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  refused: 4,
  conflict: 5,
  unavailable: 6,
  interrupted: 130,
})

const exitCodeOf: Partial<Record<ErrorCode, number>> = {
  not_found: exitCodes.notFound,
  unauthorized: exitCodes.refused,
  denied: exitCodes.refused,
  conflict: exitCodes.conflict,
  busy: exitCodes.conflict,
  already_exists: exitCodes.conflict,
  unavailable: exitCodes.unavailable,
}

/** What people write: on the command line, or in the configuration. */
const written: ReadonlySet<Resource> = new Set(['config', 'repository', 'tag', 'digest'])

/** What a failed command says and how it ends: one sentence for what is known, all there is for a bug. */
export function describeFailure(error: unknown): { message: string; exitCode: number } {
  if (isAbort(error)) return { message: 'varve: interrupted', exitCode: exitCodes.interrupted }
  if (isDomainError(error)) {
    const usage = error.code === 'invalid' && written.has(error.details.resource)
    const exitCode = usage ? exitCodes.usage : (exitCodeOf[error.code] ?? exitCodes.failed)
    return { message: `varve: ${printable(error.message)}`, exitCode }
  }
  const bug = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return {
    message: `varve: unexpected error, please report it\n${printableLines(bug)}`,
    exitCode: exitCodes.failed,
  }
}
