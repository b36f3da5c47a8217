import { inspect } from 'node:util'

/** A test that failed. */
export interface Failure {
  /** Its name and its file. */
  readonly title: string
  /** All that is known of why. */
  readonly reason: string
}

/** Lines of one reason; the first ones say what was wrong, the others where. */
const maxLines = 16
const maxLineLength = 300
/** A line of a stack that is Node's own. */
const isOfNode = /^ +at (?:\S.* )?\(?node:/

/**
 * Lines for the end of a run: each failure, and below it why. Whoever sees the end only, as that of a long log, sees all
 * that matters. A hook that fails takes all tests of its suite with it: their reason is told once.
 */
export function tellFailures(failures: readonly Failure[]): readonly string[] {
  const told = new Set<string>()
  return failures.flatMap(({ title, reason }) => {
    const lines = reason.split('\n').filter(line => line.trim() !== '' && !isOfNode.test(line))
    const key = lines.join('\n')
    if (told.has(key)) return [`failed: ${title}`, '  (as the one before)']
    told.add(key)
    const shown = lines.slice(0, maxLines).map(line => `  ${line.slice(0, maxLineLength)}`)
    const left = lines.length - shown.length
    return [`failed: ${title}`, ...shown, ...(left > 0 ? [`  (${left} more lines)`] : [])]
  })
}

/** Of an error as node:test hands it over: what was thrown is its cause. */
export function reasonOf(error: Error): string {
  return inspect(error.cause instanceof Error ? error.cause : error, { depth: 8 })
}
