import type { MirrorJob } from '../../mirror-job.ts'
import { type NamePattern, namePattern } from '../../storage/name-pattern.ts'
import { parseRepositoryName, type RepositoryName } from '../../storage/reference.ts'

/** A repository of the source and what it is called at the target. */
export interface RepositoryPair {
  readonly source: RepositoryName
  readonly target: RepositoryName
}

/** A repository that cannot be mirrored, and why, in one sentence. */
export interface RepositoryProblem {
  readonly source: string
  readonly target: string
  readonly reason: string
}

export interface RepositorySelection {
  /** Names without `*`: they are asked for whether the catalog has them or not. */
  readonly literals: readonly string[]
  /** Whether the source's catalog is needed. */
  readonly isOpen: boolean
  /** Whether the job means the repository. */
  readonly means: (name: string) => boolean
}

export function repositorySelection({
  repositories,
  excludeRepositories,
}: Pick<MirrorJob, 'repositories' | 'excludeRepositories'>): RepositorySelection {
  const excluded = excludeRepositories.map(namePattern)
  const wanted = repositories.map(namePattern)
  const means = (name: string): boolean => isAny(wanted, name) && !isAny(excluded, name)
  return {
    literals: [...new Set(repositories)].filter(name => !name.includes('*') && means(name)),
    isOpen: repositories.some(name => name.includes('*')),
    means,
  }
}

/** What the repository is called at the target, which may be no name that a repository can have. */
export function targetNameOf(
  { stripPrefix, prefix }: Pick<MirrorJob['target'], 'stripPrefix' | 'prefix'>,
  source: string,
): string {
  return prefix + (source.startsWith(stripPrefix) ? source.slice(stripPrefix.length) : source)
}

/** Names at the source that would be called so at the target, whether they are there or not. */
export function sourceNamesOf(
  { stripPrefix, prefix }: Pick<MirrorJob['target'], 'stripPrefix' | 'prefix'>,
  target: string,
): string[] {
  if (!target.startsWith(prefix)) return []
  const rest = target.slice(prefix.length)
  return stripPrefix === '' ? [rest] : [stripPrefix + rest, ...(rest.startsWith(stripPrefix) ? [] : [rest])]
}

/**
 * The pairs, in the order given. Names of which the target can have none, and those of which two would be one at the
 * target, are problems: both of such two, for nobody knows which is meant.
 */
export function pairRepositories(
  target: Pick<MirrorJob['target'], 'stripPrefix' | 'prefix'>,
  sources: readonly string[],
): { readonly pairs: readonly RepositoryPair[]; readonly problems: readonly RepositoryProblem[] } {
  const pairs: RepositoryPair[] = []
  const problems: RepositoryProblem[] = []
  const byTarget = Map.groupBy(new Set(sources), source => targetNameOf(target, source))
  for (const [name, those] of byTarget) {
    const [source = '', other] = those
    if (other === undefined) {
      const pair = pairOf(source, name)
      if ('reason' in pair) problems.push(pair)
      else pairs.push(pair)
    } else {
      const reason = `${those.slice(0, 3).join(' and ')} would all be ${name} at the target; exclude all but one, or mirror them by jobs of their own.`
      problems.push(...those.map(one => ({ source: one, target: name, reason })))
    }
  }
  return { pairs, problems }
}

function pairOf(source: string, target: string): RepositoryPair | RepositoryProblem {
  try {
    return { source: parseRepositoryName(source), target: parseRepositoryName(target) }
  } catch (error) {
    return { source, target, reason: error instanceof Error ? error.message : String(error) }
  }
}

function isAny(patterns: readonly NamePattern[], name: string): boolean {
  return patterns.some(pattern => pattern.test(name))
}
