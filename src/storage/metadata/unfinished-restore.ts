import type { Kysely } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Schema } from './schema.ts'
import { unfinishedRestore } from './setting-records.ts'

/** @throws DomainError `conflict` for a database that `varve restore` has filled and not finished with. */
export async function refuseUnfinishedRestore(db: Kysely<Schema>, name: string): Promise<void> {
  const row = await db
    .selectFrom('settings')
    .select('value')
    .where('name', '=', unfinishedRestore)
    .executeTakeFirst()
  if (row === undefined) return
  throw new DomainError(
    'conflict',
    `A backup has not been restored to the end into the database ${name}; run the same \`varve restore\` (of ${row.value}) again.`,
    { resource: 'database', name },
  )
}
