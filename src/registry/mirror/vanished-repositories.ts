import { isDomainError } from '../../errors.ts'
import type { MirrorJob } from '../../mirror-job.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { type RepositoryProblem, type RepositorySelection, sourceNamesOf } from './repository-selection.ts'
import type { MirrorTarget } from './run-job.ts'

/** Repositories of the target that are looked at, and those that are told of. */
const maxLookedAt = 1_000_000
const maxTold = 1000

/**
 * Repositories of the target that the job would have made of some at the source, but whose names the source does not have
 * (any more). They are told of and never deleted. Nothing where the target does not say what it has.
 */
export async function* vanishedRepositories(
  naming: MirrorJob['target'],
  selection: RepositorySelection,
  catalog: ReadonlySet<string>,
  { target, signal }: Abortable & { readonly target: MirrorTarget },
): AsyncGenerator<RepositoryProblem, void, undefined> {
  const literals = new Set(selection.literals)
  let [lookedAt, told] = [0, 0]
  try {
    for await (const name of target.repositories({ signal })) {
      lookedAt += 1
      if (lookedAt > maxLookedAt || told >= maxTold) return
      const names = sourceNamesOf(naming, name)
      const source = names.find(one => selection.means(one))
      // What is asked for by name has told of itself.
      if (source === undefined || names.some(one => catalog.has(one) || literals.has(one))) continue
      told += 1
      yield {
        source,
        target: name,
        reason:
          'The source does not have this repository (any more); delete it at the target if it is not wanted there.',
      }
    }
  } catch (error) {
    if (isDomainError(error, 'unsupported', 'denied', 'unauthorized', 'not_found')) return
    throw error
  }
}
