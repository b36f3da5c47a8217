import type { Kysely } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import { batches } from './batches.ts'
import { lostBelow } from './coming-back.ts'
import { deletedAmong } from './deleted-references.ts'
import type { HistoryPage, TagChange } from './history-records.ts'
import type { Schema } from './schema.ts'
import { selectTagHistory } from './tag-history.ts'

/** As {@link HistoryRecords.listTagHistory}. */
export async function listTagChanges(
  db: Kysely<Schema>,
  repository: RepositoryName,
  tag: Tag,
  page: HistoryPage,
): Promise<TagChange[]> {
  const rows = await selectTagHistory(db, repository, tag, page)
  const named = [...new Set(rows.flatMap(({ digest, previous }) => digest ?? previous ?? []))]
  const restorable = await restorableAmong(db, repository, named)
  return rows.map(({ serial, cause, digest, previous, at, account }) => {
    const target = digest ?? previous
    return {
      position: serial,
      cause,
      digest,
      previous,
      at: new Date(at),
      account,
      isRestorable: target !== null && restorable.has(target),
    }
  })
}

async function restorableAmong(
  db: Kysely<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
): Promise<Set<Digest>> {
  const found = await deletedAmong(db, repository, digests)
  for (const digest of (await lostBelow(db, repository, [...found])).keys()) found.delete(digest)
  for (const batch of batches(digests)) {
    const present = await db
      .selectFrom('manifests')
      .select('digest')
      .where('repository', '=', repository)
      .where('digest', 'in', batch)
      .execute()
    for (const { digest } of present) found.add(digest)
  }
  return found
}
