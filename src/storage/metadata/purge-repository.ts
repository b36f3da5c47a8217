import type { Transaction } from 'kysely'
import type { RepositoryName } from '../reference.ts'
import { addTotals } from './collect-totals.ts'
import type { EventWriter } from './event-writer.ts'
import type { LinkWriter } from './link-writer.ts'
import type { Occasion } from './manifest-events.ts'
import { stillMoving } from './repository-rows.ts'
import { lockDeleted } from './restore-repository.ts'
import type { Schema } from './schema.ts'
import type { UsageWriter } from './usage-writer.ts'

export interface PurgeParts {
  readonly events: EventWriter
  readonly links: LinkWriter
  readonly usage: UsageWriter
}

/** Rows that one transaction takes away: others who write wait meanwhile. */
const rowsAtOnce = 500

/**
 * Lets some of a deleted repository go. Answers whether it is gone. What it lets go of first nobody can take back.
 * @throws DomainError as {@link RepositoryChangeRecords.purgeRepository}; `busy` while its contents are being moved.
 */
export async function purgeBatch(
  db: Transaction<Schema>,
  { events, links, usage }: PurgeParts,
  name: RepositoryName,
  occasion: Occasion,
): Promise<boolean> {
  const row = await lockDeleted(db, name, 'purged')
  if (row.moving !== null) throw stillMoving(name, row.moving)
  const manifests = await db
    .deleteFrom('deleted_manifests')
    .where('repository', '=', name)
    .where('digest', 'in', some =>
      some
        .selectFrom('deleted_manifests')
        .select('digest')
        .where('repository', '=', name)
        .orderBy('digest')
        .limit(rowsAtOnce),
    )
    .returning('size')
    .execute()
  if (manifests.length > 0) {
    await usage.write(db, name, { bytes: -manifests.reduce((sum, { size }) => sum + size, 0) })
    await addTotals(db, { manifests: manifests.length })
    return false
  }
  const linked = await db
    .selectFrom('blob_links')
    .select('digest')
    .where('repository', '=', name)
    .orderBy('digest')
    .limit(rowsAtOnce)
    .execute()
  if (linked.length > 0) {
    const taken = await links.takeAway(
      db,
      name,
      linked.map(({ digest }) => digest),
    )
    const facts = { kind: 'blob', action: 'delete', repository: name, ...occasion } as const
    await events.write(
      db,
      taken.map(({ digest, size }) => ({ ...facts, digest, size })),
    )
    await addTotals(db, { links: taken.length, blobs: taken.filter(({ isLast }) => isLast).length })
    return false
  }
  for (const table of ['tag_history', 'tag_expiries'] as const)
    await db.deleteFrom(table).where('repository', '=', name).execute()
  await db.deleteFrom('repositories').where('name', '=', name).execute()
  await addTotals(db, { repositories: 1 })
  return true
}
