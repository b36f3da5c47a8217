import { type RawBuilder, type Selectable, sql, type Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { RepositoryName } from '../reference.ts'
import type { RepositoryRow } from './rows/content.ts'
import type { Schema } from './schema.ts'

export type LockedRepository = Pick<
  Selectable<RepositoryRow>,
  'name' | 'created_at' | 'deleted_at' | 'moving' | 'requester'
>

/**
 * Whether the repository that rows are of is there for others to see: of one that was deleted nothing is, though its rows
 * are kept for a while. For queries of what belongs to a repository; the rows themselves say so by `deleted_at`.
 */
export function isSeen(repository: RawBuilder<RepositoryName>): RawBuilder<boolean> {
  return sql<boolean>`(select deleted_at from repositories where name = ${repository}) is null`
}

/**
 * For transactions that change a repository's manifests or tags, or take links away: they go one after another, and
 * each sees what those before have done. One that was deleted counts as well; undefined when there is none.
 */
export async function lockRepositoryRow(
  db: Transaction<Schema>,
  name: RepositoryName,
): Promise<LockedRepository | undefined> {
  return (
    db
      .selectFrom('repositories')
      .select(['name', 'created_at', 'deleted_at', 'moving', 'requester'])
      .where('name', '=', name)
      // Links and uploads, which refer to the row, go on meanwhile.
      .forNoKeyUpdate()
      .executeTakeFirst()
  )
}

/** As {@link lockRepositoryRow}. Answers whether there is such a repository that was not deleted. */
export async function lockRepository(db: Transaction<Schema>, name: RepositoryName): Promise<boolean> {
  const row = await lockRepositoryRow(db, name)
  return row !== undefined && row.deleted_at === null
}

/**
 * As {@link lockRepository}, and makes the repository exist: anew, when it was deleted. Answers whether it did not before.
 * @throws DomainError `busy` while what it had is still being put away.
 */
export async function lockNewRepository(
  db: Transaction<Schema>,
  name: RepositoryName,
  now: number,
): Promise<boolean> {
  for (;;) {
    const row = await lockRepositoryRow(db, name)
    if (row !== undefined) return beginAnew(db, row, now)
    // Another one may make it meanwhile, and be at work on it.
    if (await insertRepository(db, name, now)) return true
  }
}

/**
 * For transactions that store something under a name: the first one makes the repository exist, and is told so. Takes no
 * lock where the repository is there. @throws DomainError as {@link lockNewRepository}.
 */
export async function ensureRepository(
  db: Transaction<Schema>,
  name: RepositoryName,
  now: number,
): Promise<boolean> {
  const row = await db
    .selectFrom('repositories')
    .select('deleted_at')
    .where('name', '=', name)
    .executeTakeFirst()
  if (row?.deleted_at === null) return false
  return lockNewRepository(db, name, now)
}

/** For a transaction that has the lock: everybody sees it again. */
export async function showRepository(
  db: Transaction<Schema>,
  name: RepositoryName,
  createdAt: number,
): Promise<void> {
  await db
    .updateTable('repositories')
    .set({ created_at: createdAt, deleted_at: null, moving: null, requester: null })
    .where('name', '=', name)
    .execute()
}

async function beginAnew(db: Transaction<Schema>, row: LockedRepository, now: number): Promise<boolean> {
  if (row.deleted_at === null) return false
  if (row.moving !== null) throw stillMoving(row.name, row.moving)
  await showRepository(db, row.name, now)
  return true
}

async function insertRepository(
  db: Transaction<Schema>,
  name: RepositoryName,
  now: number,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('repositories')
    .values({ name, created_at: now })
    .onConflict(conflict => conflict.column('name').doNothing())
    .executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows === 1n
}

export function stillMoving(name: RepositoryName, moving: 'bury' | 'restore'): DomainError {
  const what = moving === 'bury' ? 'is being deleted' : 'is being restored'
  return new DomainError(
    'busy',
    `The repository ${name} ${what} at this moment; try again in a few seconds.`,
    {
      resource: 'repository',
      name,
    },
  )
}

export function unknownRepository(name: RepositoryName): DomainError {
  return new DomainError('not_found', `There is no repository ${name}.`, { resource: 'repository', name })
}
