import type { Config } from '../../config.ts'
import type { RepositoryName } from '../../storage/reference.ts'

/** Of an upstream: it looks after its copies itself. */
export function isCopy({ upstreams }: Pick<Config, 'upstreams'>): (repository: RepositoryName) => boolean {
  const prefixes = upstreams.map(({ prefix }) => prefix)
  return repository => prefixes.some(prefix => repository === prefix || repository.startsWith(`${prefix}/`))
}
