import { DomainError } from '../../errors.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import type { MirrorTarget } from './run-job.ts'

export interface TargetGuard {
  /** Whether nothing may be stored here now. */
  readonly readOnly: boolean
  /** Below these (`docker.io`) are copies of upstreams, and nothing else. */
  readonly upstreamPrefixes: readonly string[]
}

/**
 * This registry's own stores as a job's target, with what clients may not do refused to jobs as well. What is refused is
 * refused before anything is copied.
 * @throws DomainError `denied`, also from `repository`.
 */
export function guardedTarget(own: MirrorTarget, { readOnly, upstreamPrefixes }: TargetGuard): MirrorTarget {
  if (readOnly)
    throw new DomainError(
      'denied',
      'This registry is read-only now (registry.readOnly), so nothing is mirrored to it.',
      {
        resource: 'mirror',
      },
    )
  const prefixOf = (name: string): string | undefined =>
    upstreamPrefixes.find(one => name.startsWith(`${one}/`))
  return {
    label: own.label,
    repository: name => {
      const prefix = prefixOf(name)
      if (prefix === undefined) return own.repository(name)
      throw new DomainError(
        'denied',
        `${name} is below ${prefix}/, where the copies of an upstream are; give the job another target.prefix, or exclude the repository.`,
        { resource: 'repository', name },
      )
    },
    repositories: options => mayBeOfJobs(own.repositories(options), prefixOf),
  }
}

/** No job has made a copy of an upstream, so none is to be told that its source is gone. */
async function* mayBeOfJobs(
  names: AsyncIterable<RepositoryName>,
  prefixOf: (name: RepositoryName) => string | undefined,
): AsyncIterable<RepositoryName> {
  for await (const name of names) if (prefixOf(name) === undefined) yield name
}
