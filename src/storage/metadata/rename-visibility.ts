import type { Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import { tenantOf } from '../accounts/names.ts'
import type { Visibility } from '../accounts/roles.ts'
import type { RepositoryName } from '../reference.ts'
import type { RepositoryRename } from './repository-records.ts'
import type { Schema } from './schema.ts'

/**
 * The visibility of its own goes with a repository. One that has none is as the tenant of its new name; but nothing
 * becomes public without being told to. @throws DomainError `conflict`.
 */
export async function moveVisibility(
  db: Transaction<Schema>,
  { from, to, visibility }: RepositoryRename,
): Promise<void> {
  const before = await visibilityOf(db, from)
  const there = await visibilityOf(db, to)
  const own = visibility ?? before.own ?? there.own
  const after = own ?? there.tenants
  if (
    visibility === undefined &&
    before.own === undefined &&
    before.tenants === 'private' &&
    after === 'public'
  )
    throw new DomainError(
      'conflict',
      `${from} is private, and everybody could pull it as ${to}; say whether it shall be public or private there.`,
      { resource: 'repository', name: to },
    )
  await db.deleteFrom('repository_visibility').where('repository', 'in', [from, to]).execute()
  // Where there is no tenant there is nobody to whom it could be public.
  if (own === undefined || there.tenants === undefined) return
  await db
    .insertInto('repository_visibility')
    .values({ repository: to, tenant: tenantOf(to), visibility: own })
    .execute()
}

interface Visibilities {
  readonly own: Visibility | undefined
  /** Undefined: there is no tenant, and only admins see what is in it. */
  readonly tenants: Visibility | undefined
}

/** They stay as they are until the transaction ends. */
async function visibilityOf(db: Transaction<Schema>, repository: RepositoryName): Promise<Visibilities> {
  const tenant = await db
    .selectFrom('tenants')
    .select('visibility')
    .where('name', '=', tenantOf(repository))
    .forShare()
    .executeTakeFirst()
  const own = await db
    .selectFrom('repository_visibility')
    .select('visibility')
    .where('repository', '=', repository)
    .forUpdate()
    .executeTakeFirst()
  return { own: own?.visibility, tenants: tenant?.visibility }
}
