import { sql, type Transaction } from 'kysely'
import type { RepositoryName } from '../reference.ts'
import type { Schema } from './schema.ts'

/** For a transaction that has given all of it the new name: its tags name what they named, and were renamed. */
export async function recordRename(
  db: Transaction<Schema>,
  to: RepositoryName,
  { at, account }: { readonly at: number; readonly account: string | null },
): Promise<void> {
  await sql`
    insert into tag_history (repository, tag, cause, digest, previous, at, account)
      select repository, name, 'rename', digest, digest, cast(${at} as bigint), cast(${account} as text)
        from tags where repository = ${to} order by name`.execute(db)
}
