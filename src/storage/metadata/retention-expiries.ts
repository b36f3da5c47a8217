import { type Kysely, sql, type Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import { lockRepository } from './repository-rows.ts'
import type { ExpiredTag, LabelledExpiry } from './retention-records.ts'
import type { TagExpiryRow } from './rows/life-cycle.ts'
import type { Schema } from './schema.ts'
import { assertMutable } from './tag-rules.ts'

/**
 * Times at which tags go by themselves. One counts only while the tag names what it named, and was not set again: so a
 * push is never undone by a time that was meant for the push before it.
 */

/** As {@link RetentionRecords.setTagExpiry}. */
export async function setTagExpiry(
  db: Transaction<Schema>,
  repository: RepositoryName,
  tag: Tag,
  expiresAt: Date | undefined,
): Promise<void> {
  await lockRepository(db, repository)
  const found = await selectTag(db, repository, tag)
  if (found === undefined)
    throw new DomainError('not_found', `The repository ${repository} has no tag ${tag}.`, {
      resource: 'tag',
      name: tag,
    })
  if (expiresAt !== undefined) await assertMutable(db, repository, [tag])
  await write(db, {
    repository,
    tag,
    digest: found.digest,
    tag_set_at: found.updated_at,
    expires_at: expiresAt?.getTime() ?? null,
    source: 'request',
  })
}

/** As {@link RetentionRecords.noteTagExpiry}. */
export async function noteTagExpiry(
  db: Transaction<Schema>,
  { repository, tag, digest, setAt, expiresAt }: LabelledExpiry,
): Promise<boolean> {
  await lockRepository(db, repository)
  const found = await selectTag(db, repository, tag)
  const tag_set_at = setAt.getTime()
  if (found?.digest !== digest || found.updated_at !== tag_set_at) return false
  const known = await db
    .selectFrom('tag_expiries')
    .selectAll()
    .where('repository', '=', repository)
    .where('tag', '=', tag)
    .executeTakeFirst()
  if (known?.source === 'request' && known.digest === digest && known.tag_set_at === tag_set_at) return false
  await write(db, { repository, tag, digest, tag_set_at, expires_at: expiresAt.getTime(), source: 'label' })
  return true
}

/** As {@link RetentionRecords.listExpiredTags}. */
export async function selectExpired(
  db: Kysely<Schema>,
  before: number,
  limit: number,
): Promise<ExpiredTag[]> {
  const rows = await db
    .selectFrom('tag_expiries as expiry')
    .innerJoin('tags', join =>
      join
        .onRef('tags.repository', '=', 'expiry.repository')
        .onRef('tags.name', '=', 'expiry.tag')
        .onRef('tags.digest', '=', 'expiry.digest')
        .onRef('tags.updated_at', '=', 'expiry.tag_set_at'),
    )
    .select([
      'expiry.repository',
      'expiry.tag',
      'expiry.digest',
      'expiry.tag_set_at',
      sql<number>`expiry.expires_at`.as('expires_at'),
    ])
    .where('expiry.expires_at', '<=', before)
    .orderBy('expiry.expires_at')
    .orderBy('expiry.repository')
    .orderBy('expiry.tag')
    .limit(limit)
    .execute()
  return rows.map(({ tag_set_at, expires_at, ...rest }) => ({
    ...rest,
    setAt: new Date(tag_set_at),
    expiresAt: new Date(expires_at),
  }))
}

/** As {@link RetentionRecords.dropTagExpiry}. */
export async function dropTagExpiry(
  db: Transaction<Schema>,
  { repository, tag, setAt, expiresAt }: ExpiredTag,
): Promise<void> {
  await db
    .deleteFrom('tag_expiries')
    .where('repository', '=', repository)
    .where('tag', '=', tag)
    .where('tag_set_at', '=', setAt.getTime())
    .where('expires_at', '=', expiresAt.getTime())
    .execute()
}

/** As {@link RetentionRecords.forgetTagExpiries}. */
export async function forgetTagExpiries(
  db: Transaction<Schema>,
  before: number,
  limit: number,
): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('tag_expiries')
    .where(row =>
      row(
        row.refTuple('repository', 'tag'),
        'in',
        row
          .selectFrom('tag_expiries as expiry')
          .select(['expiry.repository', 'expiry.tag'])
          .where(sql<boolean>`(expiry.expires_at <= ${before} or expiry.expires_at is null)`)
          .where(expiry =>
            expiry.not(
              expiry.exists(
                expiry
                  .selectFrom('tags')
                  .select('tags.name')
                  .whereRef('tags.repository', '=', 'expiry.repository')
                  .whereRef('tags.name', '=', 'expiry.tag')
                  .whereRef('tags.digest', '=', 'expiry.digest')
                  .whereRef('tags.updated_at', '=', 'expiry.tag_set_at'),
              ),
            ),
          )
          .limit(limit)
          .$asTuple('repository', 'tag'),
      ),
    )
    .executeTakeFirstOrThrow()
  return Number(numDeletedRows)
}

function selectTag(db: Transaction<Schema>, repository: RepositoryName, tag: Tag) {
  return db
    .selectFrom('tags')
    .select(['digest', 'updated_at'])
    .where('repository', '=', repository)
    .where('name', '=', tag)
    .executeTakeFirst()
}

async function write(db: Transaction<Schema>, { repository, tag, ...columns }: TagExpiryRow): Promise<void> {
  await db
    .insertInto('tag_expiries')
    .values({ repository, tag, ...columns })
    .onConflict(conflict => conflict.columns(['repository', 'tag']).doUpdateSet(columns))
    .execute()
}
