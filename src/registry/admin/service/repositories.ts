import { DomainError } from '../../../errors.ts'
import { tenantOf } from '../../../storage/accounts/names.ts'
import type { RepositoryName } from '../../../storage/reference.ts'
import type { Standing } from '../actor.ts'
import type { repositoryOperations } from '../operations/repositories.ts'
import { unknownTenant } from '../permissions.ts'
import { movedView, repositoryFactsView, repositoryStateView, restoredView } from '../repository-views.ts'
import { requesterOfActor } from '../requester.ts'
import { viewOf } from '../views.ts'
import { pageOf } from './pages.ts'
import type { AdminParts, Implementations } from './parts.ts'

/** What each operation on whole repositories does. */
export function createRepositoryAdministration({
  metadata,
  upstreamPrefixes,
}: AdminParts): Implementations<keyof typeof repositoryOperations> {
  return {
    'repository.list': async ({ tenant, deleted = false, ...input }, { signal }) =>
      await pageOf(
        input,
        repositoryStateView,
        async page => await metadata.listRepositoryStates({ tenant, isDeleted: deleted }, page, { signal }),
        ({ name }) => name,
      ),
    'repository.show': async ({ repository }, { signal }) =>
      viewOf(repositoryFactsView, await metadata.describeRepository(repository, { signal })),
    'repository.delete': async ({ repository, force }, { actor, signal }) => {
      const options = { isForced: force, by: requesterOfActor(actor), signal }
      return viewOf(movedView, {
        name: repository,
        ...(await metadata.deleteRepository(repository, options)),
      })
    },
    'repository.restore': async ({ repository }, { actor, signal }) => {
      const options = { by: requesterOfActor(actor), signal }
      const restored = await metadata.restoreRepository(repository, options)
      return viewOf(restoredView, { name: repository, ...restored })
    },
    'repository.purge': async ({ repository }, { actor, signal }) =>
      await metadata.purgeRepository(repository, { by: requesterOfActor(actor), signal }),
    'repository.rename': async (
      { repository: from, name: to, visibility, force },
      { actor, standing, signal },
    ) => {
      requireOwner(standing, to)
      assertOwn(from, upstreamPrefixes)
      assertOwn(to, upstreamPrefixes)
      const options = { isForced: force, by: requesterOfActor(actor), signal }
      const moved = await metadata.renameRepository({ from, to, visibility }, options)
      return viewOf(movedView, { name: to, ...moved })
    },
  }
}

/** The tenant of the present name has been looked at by then. */
function requireOwner({ account, isAdmin, roles }: Standing, to: RepositoryName): void {
  if (isAdmin) return
  const tenant = tenantOf(to)
  const role = roles.get(tenant)
  if (role === undefined) throw unknownTenant(tenant)
  if (role === 'owner') return
  throw new DomainError(
    'denied',
    `${account ?? ''} may not bring a repository into ${tenant}; owners of it and admins may.`,
    { resource: 'repository', rule: `no rule lets ${account ?? ''} own ${tenant}` },
  )
}

/** @throws DomainError `denied` for a copy of an upstream: it would be made again under its old name. */
function assertOwn(name: RepositoryName, prefixes: readonly string[]): void {
  const prefix = prefixes.find(one => name.startsWith(`${one}/`))
  if (prefix === undefined) return
  throw new DomainError(
    'denied',
    `${name} is below ${prefix}/, where the copies of an upstream are; they keep their names, and nothing else is there.`,
    { resource: 'repository', name },
  )
}
