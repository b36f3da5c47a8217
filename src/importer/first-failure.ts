/**
 * What went wrong first. When clearing away after a failure fails as well, the language hands on the second one with the
 * first inside (`SuppressedError`), but the first is the one that people can do something about, and the next start
 * clears away what is left.
 */
export function firstFailure(error: unknown): unknown {
  return error instanceof SuppressedError ? firstFailure(error.suppressed) : error
}
