import { randomUUID } from 'node:crypto'
import { sql, type Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { TenantName } from '../accounts/names.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { ChangeOptions } from '../requester.ts'
import type { Database } from './database.ts'
import { keepTenant } from './keep-tenant.ts'
import { Leases } from './leases.ts'
import { dropUntagged, type ExpiryParts, expireTag } from './retention-drops.ts'
import {
  dropTagExpiry,
  forgetTagExpiries,
  noteTagExpiry,
  selectExpired,
  setTagExpiry,
} from './retention-expiries.ts'
import { selectTagFacts, selectUntagged } from './retention-facts.ts'
import type {
  ExpiredTag,
  LabelledExpiry,
  NewRetentionPolicy,
  RetentionLease,
  RetentionPolicyRecord,
  RetentionProgress,
  RetentionRecords,
  RetentionState,
  TagExpiry,
  TagFacts,
  UntaggedFacts,
} from './retention-records.ts'
import type { Schema } from './schema.ts'
import { isStorable } from './storable-text.ts'

/** There is one. */
const leaseName = 'retention'

export class KyselyRetention implements RetentionRecords {
  readonly #database: Database
  readonly #parts: ExpiryParts
  readonly #now: () => number
  readonly #leases: Leases

  constructor(database: Database, parts: Omit<ExpiryParts, 'now'>, now: () => number) {
    this.#database = database
    this.#parts = { ...parts, now }
    this.#now = now
    this.#leases = new Leases(database, 'retention', now)
  }

  async addRetentionPolicy(
    { tenant, rules, beside }: NewRetentionPolicy,
    options?: Abortable,
  ): Promise<RetentionPolicyRecord> {
    const row = { id: randomUUID(), tenant, rules, created_at: this.#now() }
    await this.#database.write(options, async db => {
      await keepTenant(db, tenant)
      if (beside !== undefined) await assertSame(db, tenant, beside)
      await db.insertInto('retention_policies').values(row).execute()
    })
    return { id: row.id, tenant, rules, createdAt: new Date(row.created_at) }
  }

  async removeRetentionPolicy(tenant: TenantName, id: string, options?: Abortable): Promise<void> {
    const { numDeletedRows } = await this.#database.write(options, db =>
      db
        .deleteFrom('retention_policies')
        .where('tenant', '=', tenant)
        // Of nothing that is stored, where it cannot be asked for.
        .where('id', '=', isStorable(id) ? id : '')
        .executeTakeFirstOrThrow(),
    )
    if (numDeletedRows > 0n) return
    const name = id.slice(0, 64)
    throw new DomainError('not_found', `The tenant ${tenant} has no retention policy ${name}.`, {
      resource: 'rule',
      name,
    })
  }

  async listRetentionPolicies(
    tenant: TenantName | undefined,
    options?: Abortable,
  ): Promise<RetentionPolicyRecord[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('retention_policies')
        .selectAll()
        .where(row => (tenant === undefined ? row.lit(true) : row('tenant', '=', tenant)))
        .orderBy('serial')
        .execute(),
    )
    return rows.map(({ id, tenant: of, rules, created_at }) => ({
      id,
      tenant: of,
      rules,
      createdAt: new Date(created_at),
    }))
  }

  leaseRetention(lease: RetentionLease, options?: Abortable): Promise<boolean> {
    return this.#leases.take(leaseName, lease, options)
  }

  releaseRetention(holder: string, options?: Abortable): Promise<void> {
    return this.#leases.release(leaseName, holder, options)
  }

  async retentionState(options?: Abortable): Promise<RetentionState> {
    const row = await this.#database.read(options, db =>
      db.selectFrom('retention_state').selectAll().executeTakeFirstOrThrow(),
    )
    const { repositories, tags, manifests, skipped } = row
    return {
      beganAt: row.began_at === null ? null : new Date(row.began_at),
      endedAt: row.ended_at === null ? null : new Date(row.ended_at),
      place: row.place,
      totals: { repositories, tags, manifests, skipped },
      labelsAt: row.labels_at,
    }
  }

  async beginRetention(options?: Abortable): Promise<void> {
    const counts = { repositories: 0, tags: 0, manifests: 0, skipped: 0 }
    await this.#database.write(options, db =>
      db
        .updateTable('retention_state')
        .set({ began_at: this.#now(), ended_at: null, place: null, ...counts })
        .execute(),
    )
  }

  async saveRetention(
    { place, isEnded = false, done }: RetentionProgress,
    options?: Abortable,
  ): Promise<void> {
    await this.#database.write(options, db =>
      db
        .updateTable('retention_state')
        .set(row => ({
          repositories: sql<number>`${row.ref('repositories')} + ${done.repositories}`,
          tags: sql<number>`${row.ref('tags')} + ${done.tags}`,
          manifests: sql<number>`${row.ref('manifests')} + ${done.manifests}`,
          skipped: sql<number>`${row.ref('skipped')} + ${done.skipped}`,
        }))
        .set(isEnded ? { place: null, ended_at: this.#now() } : { place })
        .execute(),
    )
  }

  async saveLabelPosition(position: number, options?: Abortable): Promise<void> {
    await this.#database.write(options, db =>
      db.updateTable('retention_state').set({ labels_at: position }).execute(),
    )
  }

  listTagFacts(
    repository: RepositoryName,
    after: Tag | undefined,
    limit: number,
    options?: Abortable,
  ): Promise<TagFacts[]> {
    return this.#database.read(options, db => selectTagFacts(db, repository, { after, limit }))
  }

  async findTagFacts(
    repository: RepositoryName,
    tag: Tag,
    options?: Abortable,
  ): Promise<TagFacts | undefined> {
    const [found] = await this.#database.read(options, db => selectTagFacts(db, repository, { tag }))
    return found
  }

  listUntagged(
    repository: RepositoryName,
    after: Digest | undefined,
    limit: number,
    options?: Abortable,
  ): Promise<UntaggedFacts[]> {
    return this.#database.read(options, db => selectUntagged(db, repository, { after, limit }))
  }

  expireTag(expiry: TagExpiry, options?: ChangeOptions): Promise<boolean> {
    return this.#database.write(options, db => expireTag(db, this.#parts, expiry, options?.by))
  }

  dropUntagged(
    repository: RepositoryName,
    digest: Digest,
    since: Date,
    options?: ChangeOptions,
  ): Promise<boolean> {
    return this.#database.write(options, db =>
      dropUntagged(db, this.#parts, repository, { digest, since: since.getTime() }),
    )
  }

  async setTagExpiry(
    repository: RepositoryName,
    tag: Tag,
    expiresAt: Date | undefined,
    options?: ChangeOptions,
  ): Promise<void> {
    await this.#database.write(options, db => setTagExpiry(db, repository, tag, expiresAt))
  }

  noteTagExpiry(expiry: LabelledExpiry, options?: Abortable): Promise<boolean> {
    return this.#database.write(options, db => noteTagExpiry(db, expiry))
  }

  listExpiredTags(before: Date, limit: number, options?: Abortable): Promise<ExpiredTag[]> {
    return this.#database.read(options, db => selectExpired(db, before.getTime(), limit))
  }

  async dropTagExpiry(expired: ExpiredTag, options?: Abortable): Promise<void> {
    await this.#database.write(options, db => dropTagExpiry(db, expired))
  }

  forgetTagExpiries(before: Date, limit: number, options?: Abortable): Promise<number> {
    return this.#database.write(options, db => forgetTagExpiries(db, before.getTime(), limit))
  }
}

/** Whoever adds another one waits until the transaction ends. @throws DomainError `conflict`. */
async function assertSame(
  db: Transaction<Schema>,
  tenant: TenantName,
  beside: readonly Pick<RetentionPolicyRecord, 'id'>[],
): Promise<void> {
  await db.selectFrom('tenants').select('name').where('name', '=', tenant).forNoKeyUpdate().execute()
  const present = await db
    .selectFrom('retention_policies')
    .select('id')
    .where('tenant', '=', tenant)
    .orderBy('serial')
    .execute()
  if (present.map(({ id }) => id).join() === beside.map(({ id }) => id).join()) return
  throw new DomainError(
    'conflict',
    `The retention policies of ${tenant} were changed at this moment; look at them, and try again.`,
    { resource: 'rule', name: tenant },
  )
}
