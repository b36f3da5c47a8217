import type { Action } from './people.ts'

/** Where. */
export interface Repository {
  /** As the rows name it. */
  readonly title: string
  /** Of one that is not there only the beginning: each row has one of its own, for pushing makes it. */
  readonly name: string
  readonly isThere: boolean
  /** Its own, against that of its tenant. */
  readonly visibility?: Visibility
  readonly grant?: RepositoryGrant
}

export interface RepositoryGrant {
  readonly to: string
  /** Fits this repository, and none of the others. */
  readonly pattern: string
  readonly actions: readonly Action[]
}

export type Visibility = 'private' | 'public'

export const tenants: Readonly<Record<string, Visibility>> = {
  acme: 'private',
  site: 'public',
  other: 'private',
  /** Without repositories, so that it can be deleted. */
  doomed: 'private',
}

export const privateRepository: Repository = { title: 'a private one', name: 'acme/app', isThere: true }
export const publicRepository: Repository = { title: 'a public one', name: 'site/app', isThere: true }

export const repositories: readonly Repository[] = [
  privateRepository,
  publicRepository,
  { title: 'a private one of another tenant', name: 'other/app', isThere: true },
  {
    title: 'a public one of a private tenant',
    name: 'acme/open',
    isThere: true,
    visibility: 'public',
  },
  {
    title: 'a private one of a public tenant',
    name: 'site/inner',
    isThere: true,
    visibility: 'private',
  },
  {
    title: 'one that a grant opens to one account',
    name: 'acme/team/app',
    isThere: true,
    grant: { to: 'pat', pattern: 'acme/team/**', actions: ['pull', 'push', 'delete'] },
  },
  {
    title: 'one that a grant opens to every account',
    name: 'acme/shared/app',
    isThere: true,
    grant: { to: '@accounts', pattern: 'acme/shared/*', actions: ['pull'] },
  },
  {
    title: 'one that a grant lets everybody pull',
    name: 'acme/window/app',
    isThere: true,
    grant: { to: '@everybody', pattern: 'acme/window/*', actions: ['pull'] },
  },
  {
    title: 'one that a grant lets everybody push to',
    name: 'acme/box/app',
    isThere: true,
    grant: { to: '@everybody', pattern: 'acme/box/*', actions: ['pull', 'push'] },
  },
  { title: 'one of no tenant', name: 'nowhere/app', isThere: true },
  { title: 'an absent one of no tenant', name: 'nowhere/absent', isThere: false },
  { title: 'an absent one of a private tenant', name: 'acme/absent', isThere: false },
  { title: 'an absent one of a public tenant', name: 'site/absent', isThere: false },
]

export function tenantIn(name: string): string {
  return name.split('/', 1)[0] ?? ''
}
