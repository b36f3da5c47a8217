import type { Transaction } from 'kysely'
import { tenantOf } from '../accounts/names.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { linkedIn, lockBlobs } from './link-writer.ts'
import type { BlobRow } from './rows/content.ts'
import type { Schema } from './schema.ts'

/** Rows that one statement has room for. */
const linksAtOnce = 500

/** Bytes that the tenant of the one name counts no more, and that of the other one counts from now on. */
export interface MovedBytes {
  readonly left: number
  readonly added: number
}

/**
 * For a transaction that renames a repository and keeps all others from its row: its links, with their times. Both names
 * may be of one tenant, whose count stays.
 */
export async function moveLinks(
  db: Transaction<Schema>,
  from: RepositoryName,
  to: RepositoryName,
): Promise<MovedBytes> {
  if (tenantOf(from) === tenantOf(to)) {
    await db.updateTable('blob_links').set({ repository: to }).where('repository', '=', from).execute()
    return { left: 0, added: 0 }
  }
  let [left, added] = [0, 0]
  for (let after = ''; ; ) {
    const digests = await nextLinks(db, from, after)
    const last = digests.at(-1)
    if (last === undefined) return { left, added }
    after = last
    const blobs = await lockBlobs(db, digests)
    const known = await linkedIn(db, digests, to)
    await db
      .updateTable('blob_links')
      .set({ repository: to })
      .where('repository', '=', from)
      .where('digest', 'in', digests)
      .execute()
    const kept = await linkedIn(db, digests, from)
    added += sizeWithout(blobs, known)
    left += sizeWithout(blobs, kept)
  }
}

async function nextLinks(
  db: Transaction<Schema>,
  repository: RepositoryName,
  after: string,
): Promise<Digest[]> {
  const rows = await db
    .selectFrom('blob_links')
    .select('digest')
    .where('repository', '=', repository)
    // Every digest comes after the empty text.
    .where('digest', '>', after as Digest)
    .orderBy('digest')
    .limit(linksAtOnce)
    .execute()
  return rows.map(({ digest }) => digest)
}

function sizeWithout(
  blobs: readonly Pick<BlobRow, 'digest' | 'size'>[],
  counted: ReadonlySet<Digest>,
): number {
  return blobs.reduce((sum, { digest, size }) => (counted.has(digest) ? sum : sum + size), 0)
}
