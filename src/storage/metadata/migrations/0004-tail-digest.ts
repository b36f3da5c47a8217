import type { Kysely } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

/** What the bytes after the last full part of an upload must be when they are read again. */
export async function tailDigest(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  await db.schema.alterTable('uploads').addColumn('tail_digest', types.text).execute()
}
