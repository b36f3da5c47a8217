import type { RepositoryName } from '../reference.ts'
import type { Scopes } from './authenticator.ts'

/** What is wanted of a registry: what a token has to be for, and how it is said. */
export interface Access {
  readonly scopes: Scopes
  /** Undefined: of the registry as a whole. */
  readonly repository: RepositoryName | undefined
  readonly verb: 'pull' | 'push to' | 'delete in' | 'list' | 'ask'
}

export const pingAccess: Access = Object.freeze({ scopes: [], repository: undefined, verb: 'ask' })

export const catalogAccess: Access = Object.freeze({
  scopes: ['registry:catalog:*'],
  repository: undefined,
  verb: 'list',
})

export function pullAccess(repository: RepositoryName): Access {
  return { scopes: [`repository:${repository}:pull`], repository, verb: 'pull' }
}

/** @param from repository that a blob is mounted from, if any. */
export function pushAccess(repository: RepositoryName, from?: RepositoryName): Access {
  const own = `repository:${repository}:pull,push`
  const scopes = from === undefined ? [own] : [own, `repository:${from}:pull`]
  return { scopes, repository, verb: 'push to' }
}

export function deleteAccess(repository: RepositoryName): Access {
  return { scopes: [`repository:${repository}:delete`], repository, verb: 'delete in' }
}
