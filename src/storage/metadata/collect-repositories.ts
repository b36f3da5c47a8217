import type { Transaction } from 'kysely'
import type { RepositoryName } from '../reference.ts'
import { addTotals } from './collect-totals.ts'
import type { KeepTimes } from './keep-times.ts'
import type { Schema } from './schema.ts'
import type { UsageWriter } from './usage-writer.ts'

/** Looks whether a repository is empty, and lets it vanish then. Answers whether it did. */
export async function reviewRepository(
  db: Transaction<Schema>,
  usage: UsageWriter,
  name: RepositoryName,
  { now, times }: { readonly now: number; readonly times: KeepTimes },
): Promise<boolean> {
  const due = await db
    .selectFrom('repositories')
    .select('deleted_at')
    .where('name', '=', name)
    .where('review_at', '<=', now)
    // Who puts something into it refers to the row: it is there before, or finds the row gone and makes it again.
    .forUpdate()
    .executeTakeFirst()
  if (due === undefined) return false
  const state = await stateOf(db, name, now)
  if (state !== 'empty') {
    await db
      .updateTable('repositories')
      .set({ review_at: state === 'uploading' ? now + times.graceMs : null })
      .where('name', '=', name)
      .execute()
    return false
  }
  await db.deleteFrom('repositories').where('name', '=', name).execute()
  // One that was deleted counts no more since then.
  if (due.deleted_at === null) await usage.write(db, name, { repositories: -1 })
  await addTotals(db, { repositories: 1 })
  return true
}

async function stateOf(
  db: Transaction<Schema>,
  name: RepositoryName,
  now: number,
): Promise<'full' | 'uploading' | 'empty'> {
  for (const table of ['manifests', 'deleted_manifests', 'blob_links'] as const) {
    const row = await db.selectFrom(table).select('digest').where('repository', '=', name).executeTakeFirst()
    if (row !== undefined) return 'full'
  }
  const upload = await db
    .selectFrom('uploads')
    .select('id')
    .where('repository', '=', name)
    .where('committed', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst()
  return upload === undefined ? 'empty' : 'uploading'
}
