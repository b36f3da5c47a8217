import type { Transaction } from 'kysely'
import type { RepositoryName } from '../reference.ts'
import type { Schema } from './schema.ts'

/**
 * Ends the upload sessions of a repository. Whoever holds one loses it, and its bytes are deleted by the sweep of expired
 * sessions, when the holder's lease has run out: until then it may be storing more of them.
 */
export async function endUploads(
  db: Transaction<Schema>,
  repository: RepositoryName,
  now: number,
): Promise<void> {
  await db
    .updateTable('uploads')
    .set({ holder: null, expires_at: now })
    .where('repository', '=', repository)
    .execute()
  await db.deleteFrom('transfers').where('repository', '=', repository).execute()
}
