import { type Kysely, sql } from 'kysely'
import type { RepositoryName } from '../reference.ts'
import { isSeen } from './repository-rows.ts'
import type { PulledManifestRow } from './rows/mirror.ts'
import type { Schema } from './schema.ts'
import { below } from './tenant-range.ts'

/** As {@link UpstreamRecords.listEvictable}: a look at each manifest below the prefix, none of its bytes. */
export async function selectEvictable(
  db: Kysely<Schema>,
  prefix: RepositoryName,
  before: number,
  limit: number,
): Promise<PulledManifestRow[]> {
  const { rows } = await sql<PulledManifestRow>`
    select manifest.repository, manifest.digest, coalesce(pulled.at, manifest.created_at) as at
    from manifests as manifest
    left join pulled_manifests as pulled
      on pulled.repository = manifest.repository and pulled.digest = manifest.digest
    where ${below('manifest.repository', prefix)} and ${isSeen(sql.ref('manifest.repository'))}
      and coalesce(pulled.at, manifest.created_at) < ${before}
      and not exists (
        select 1 from manifest_references as reference
        where reference.repository = manifest.repository and reference.digest = manifest.digest
          and reference.role = 'child'
      )
      and not exists (
        select 1 from deleted_references as reference
        where reference.repository = manifest.repository and reference.digest = manifest.digest
      )
    order by coalesce(pulled.at, manifest.created_at), manifest.repository, manifest.digest
    limit ${limit}
  `.execute(db)
  return rows
}

/** As {@link UpstreamRecords.bytesBelow}. */
export async function sumBytesBelow(db: Kysely<Schema>, prefix: RepositoryName): Promise<number> {
  const { rows } = await sql<{ bytes: number }>`
    select
      (select coalesce(cast(sum(size) as bigint), 0) from blobs
        where digest in (select digest from blob_links where ${below('repository', prefix)}))
      + (select coalesce(cast(sum(size) as bigint), 0) from manifests where ${below('repository', prefix)})
      as bytes
  `.execute(db)
  return rows[0]?.bytes ?? 0
}
