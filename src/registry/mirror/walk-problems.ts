import { isDomainError } from '../../errors.ts'
import type { ImageRegistry } from '../../storage/images/image-repository.ts'
import { namePattern } from '../../storage/name-pattern.ts'
import { parseRepositoryName } from '../../storage/reference.ts'
import type { RepositoryProblem } from './repository-selection.ts'

/** What cannot be walked through, or is passed over, and why. */
export interface ProblemTask extends RepositoryProblem {
  readonly kind: 'problem'
  readonly outcome: 'failed' | 'skipped'
}

/** Between which a job walks. */
interface WalkedEnds {
  readonly source: ImageRegistry
  readonly target: ImageRegistry
}

/** Patterns that are looked at: each is compared with every name. */
const maxPatterns = 100

/** Patterns that no name fits: whoever has misspelt one does not hear of it otherwise. */
export function idlePatterns(repositories: readonly string[], names: readonly string[]): string[] {
  return repositories
    .filter(name => name.includes('*'))
    .slice(0, maxPatterns)
    .filter(pattern => {
      const fits = namePattern(pattern)
      return !names.some(name => fits.test(name))
    })
}

export function problem(about: RepositoryProblem): ProblemTask {
  return { kind: 'problem', outcome: 'failed', ...about }
}

export function skipped(about: RepositoryProblem, ends: WalkedEnds): ProblemTask {
  return { kind: 'problem', outcome: 'skipped', ...labelled(about, ends) }
}

export function noneOf(listed: number): string {
  if (listed === 0) return 'The source has no tags in it.'
  return `None of the tags that the source has in it (${listed}) is one that the job means (tags).`
}

/** As the labels of repositories have it; what is no name of a repository has no label. */
export function labelled(about: RepositoryProblem, { source, target }: WalkedEnds): RepositoryProblem {
  return { ...about, source: labelOf(source, about.source), target: labelOf(target, about.target) }
}

function labelOf(registry: ImageRegistry, name: string): string {
  try {
    return registry.repository(parseRepositoryName(name)).label
  } catch (error) {
    if (isDomainError(error, 'invalid', 'denied')) return `${registry.label}/${name}`
    throw error
  }
}
