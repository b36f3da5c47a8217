import { type RawBuilder, sql, type Transaction } from 'kysely'
import type { RepositoryName } from '../reference.ts'
import type { ManifestRow } from './rows/content.ts'
import type { DeletedManifestRow } from './rows/life-cycle.ts'
import type { Schema } from './schema.ts'

/** All columns but the repository's. */
type Columns<Row extends { readonly repository: RepositoryName }> = Readonly<
  Record<Exclude<keyof Row, 'repository'>, true>
>

const manifestColumns: Columns<ManifestRow> = {
  digest: true,
  media_type: true,
  size: true,
  bytes: true,
  subject: true,
  artifact_type: true,
  annotations: true,
  created_at: true,
  review_at: true,
  released_at: true,
  lost_subject: true,
  dropped: true,
}

const deletedColumns: Columns<DeletedManifestRow> = {
  digest: true,
  media_type: true,
  size: true,
  bytes: true,
  subject: true,
  created_at: true,
  deleted_at: true,
  deleted_by: true,
  goes_at: true,
}

/**
 * For a transaction that renames: what refers to manifests can be given the new name once they are there under it. The
 * one way to change a key that others refer to which both databases have without a change of the schema.
 */
export async function copyManifests(
  db: Transaction<Schema>,
  from: RepositoryName,
  to: RepositoryName,
): Promise<void> {
  await copy(db, 'manifests', manifestColumns, from, to)
  await copy(db, 'deleted_manifests', deletedColumns, from, to)
}

async function copy(
  db: Transaction<Schema>,
  table: 'manifests' | 'deleted_manifests',
  columns: Readonly<Record<string, true>>,
  from: RepositoryName,
  to: RepositoryName,
): Promise<void> {
  const names: RawBuilder<unknown> = sql.join(Object.keys(columns).map(name => sql.ref(name)))
  await sql`
    insert into ${sql.table(table)} (repository, ${names})
      select cast(${to} as text), ${names} from ${sql.table(table)} where repository = ${from}
  `.execute(db)
}
