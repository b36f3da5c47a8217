import type { Action } from '../../storage/accounts/roles.ts'
import { parseRepositoryName } from '../../storage/reference.ts'
import { isDomainError } from '../../errors.ts'
import type { Operation } from '../endpoints.ts'
import { type RegistryRequest, repositoryOf } from '../request.ts'
import type { Access } from './access.ts'

/**
 * What an operation needs: nothing at all, so that nobody is asked; that somebody has shown something, be it that they
 * are nobody in particular; the catalog; or these actions on the repository in its path.
 */
export type Need = 'nothing' | 'something' | 'catalog' | readonly Action[]

const pull: Need = ['pull']
const push: Need = ['pull', 'push']

/**
 * As distribution asks for it, because clients know which token to get before they are told: changing is `pull,push`. Only
 * that to cancel an upload is part of pushing: distribution asks for `delete`, which whoever pushes seldom has.
 */
const needs: Readonly<Record<Operation, Need>> = {
  live: 'nothing',
  ready: 'nothing',
  openapi: 'nothing',
  base: 'something',
  extensions: 'something',
  catalog: 'catalog',
  'upload.start': push,
  'upload.status': push,
  'upload.append': push,
  'upload.finish': push,
  'upload.cancel': push,
  'blob.get': pull,
  'blob.head': pull,
  'blob.delete': ['delete'],
  'manifest.get': pull,
  'manifest.head': pull,
  'manifest.put': push,
  'manifest.delete': ['delete'],
  'tags.list': pull,
  referrers: pull,
  'repository.extensions': pull,
}

export interface RequiredAccess {
  readonly wanted: readonly Access[]
  /** Without these it goes on all the same, with less. */
  readonly wishes: readonly Access[]
}

export function needOf(operation: Operation): Need {
  return needs[operation]
}

/** Undefined: nobody is asked. @throws DomainError `invalid` for what cannot be a repository's name. */
export function requiredAccess(operation: Operation, request: RegistryRequest): RequiredAccess | undefined {
  const need = needs[operation]
  if (need === 'nothing') return undefined
  if (need === 'something') return { wanted: [], wishes: [] }
  if (need === 'catalog') return { wanted: [{ kind: 'catalog' }], wishes: [] }
  const name = repositoryOf(request)
  const wanted = need.map(action => ({ kind: 'repository', name, action }) as const)
  return { wanted, wishes: operation === 'upload.start' ? mountWishes(request) : [] }
}

/** A mount that is not allowed becomes an ordinary upload. */
function mountWishes({ query }: RegistryRequest): Access[] {
  const from = query.get('from')
  if (!query.has('mount') || from === null) return []
  try {
    return [{ kind: 'repository', name: parseRepositoryName(from), action: 'pull' }]
  } catch (error) {
    if (isDomainError(error, 'invalid')) return []
    throw error
  }
}
