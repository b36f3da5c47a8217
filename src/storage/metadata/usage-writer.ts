import type { Kysely, Transaction } from 'kysely'
import { type TenantName, tenantOf } from '../accounts/names.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { batches } from './batches.ts'
import type { Database } from './database.ts'
import type { PreparedQuery } from './prepared.ts'
import type { UsageChangeRow } from './rows/accounts.ts'
import type { Schema } from './schema.ts'
import { inTenant } from './tenant-range.ts'

export interface UsageChange {
  readonly bytes?: number | undefined
  readonly repositories?: number | undefined
}

/** Writes down what a transaction changes of what a tenant uses: a row that nobody else touches. */
export class UsageWriter {
  readonly #insert: PreparedQuery<Omit<UsageChangeRow, 'serial'>, unknown>

  constructor(database: Database) {
    this.#insert = database.prepare((db, at) =>
      db
        .insertInto('usage_changes')
        .values({ tenant: at('tenant'), bytes: at('bytes'), repositories: at('repositories') }),
    )
  }

  async write(
    db: Transaction<Schema>,
    repository: RepositoryName,
    { bytes = 0, repositories = 0 }: UsageChange,
  ): Promise<void> {
    if (bytes === 0 && repositories === 0) return
    await this.#insert.takeFirst(db, { tenant: tenantOf(repository), bytes, repositories })
  }
}

/**
 * For a transaction that has just linked a blob that others may link as well: whether it is the first one of its
 * tenant, as the blob is counted once.
 *
 * One link that another transaction is taking away is waited for. Of two that are both the first one waits for the
 * other, at the row of the blob; that happens once for each blob and tenant, so nobody stands in line.
 */
export async function isFirstOfTenant(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digest: Digest,
): Promise<boolean> {
  if (await isElsewhereInTenant(db, repository, digest)) return false
  await lockBlob(db, digest)
  return !(await isElsewhereInTenant(db, repository, digest))
}

/**
 * From here on nobody takes a link of the blob away, or makes the first one of a tenant. Links, which refer to the row,
 * are made meanwhile.
 */
async function lockBlob(db: Transaction<Schema>, digest: Digest): Promise<void> {
  await db.selectFrom('blobs').select('size').where('digest', '=', digest).forNoKeyUpdate().executeTakeFirst()
}

/** Whether another repository of the same tenant links the blob; that link stays until the transaction ends. */
async function isElsewhereInTenant(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digest: Digest,
): Promise<boolean> {
  const row = await linksOf(db, tenantOf(repository), digest)
    .where('repository', '<>', repository)
    .forKeyShare()
    .executeTakeFirst()
  return row !== undefined
}

/** At most one of the links that a tenant's repositories have to the blob. */
export function linksOf(db: Kysely<Schema>, tenant: TenantName, digest: Digest) {
  return db
    .selectFrom('blob_links')
    .select('repository')
    .where('digest', '=', digest)
    .where(inTenant('repository', tenant))
    .limit(1)
}

/** For a transaction that holds the blob's row: whoever has a link to it uses so many bytes more. */
export async function addToLinkingTenants(
  db: Transaction<Schema>,
  digest: Digest,
  bytes: number,
): Promise<void> {
  const links = await db.selectFrom('blob_links').select('repository').where('digest', '=', digest).execute()
  const tenants = new Set(links.map(({ repository }) => tenantOf(repository)))
  for (const batch of batches([...tenants]))
    await db
      .insertInto('usage_changes')
      .values(batch.map(tenant => ({ tenant, bytes, repositories: 0 })))
      .execute()
}
