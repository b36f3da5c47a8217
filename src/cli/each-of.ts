import { isDomainError } from '../errors.ts'
import { describeFailure } from './exit.ts'

/** The others would fail in the same way. */
const endsAll = 'unavailable'

/**
 * Does the same with each of several things that a command was given, in their order. One that fails is told of on
 * stderr, with the exit code of the last of them, and keeps the others from nothing. Answers what succeeded.
 *
 * @throws what is no DomainError, or says that whoever does the work cannot be reached.
 */
export async function eachOf<Thing, Result>(
  things: readonly Thing[],
  work: (thing: Thing) => Promise<Result>,
): Promise<Result[]> {
  const done: Result[] = []
  for (const thing of things) {
    try {
      done.push(await work(thing))
    } catch (error) {
      if (!isDomainError(error) || error.code === endsAll) throw error
      const { message, exitCode } = describeFailure(error)
      process.stderr.write(`${message}\n`)
      process.exitCode = exitCode
    }
  }
  return done
}
