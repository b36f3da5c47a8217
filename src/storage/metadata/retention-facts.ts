import { type Kysely, type SqlBool, sql } from 'kysely'
import type { Digest } from '../digest.ts'
import { ownerOfTag } from '../referrers-tag.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import { batches } from './batches.ts'
import { deletedAmong } from './deleted-references.ts'
import type { TagFacts, UntaggedFacts } from './retention-records.ts'
import type { Schema } from './schema.ts'
import { immutableTags } from './tag-rules.ts'

type TagChoice =
  | { readonly tag: Tag; readonly after?: undefined; readonly limit?: undefined }
  | { readonly tag?: undefined; readonly after: Tag | undefined; readonly limit: number }

/** As {@link RetentionRecords.listTagFacts}, or of one tag. */
export async function selectTagFacts(
  db: Kysely<Schema>,
  repository: RepositoryName,
  { tag, after, limit = 1 }: TagChoice,
): Promise<TagFacts[]> {
  const rows = await db
    .selectFrom('tags')
    .leftJoin('pulled_manifests as pulled', join =>
      join.onRef('pulled.repository', '=', 'tags.repository').onRef('pulled.digest', '=', 'tags.digest'),
    )
    .leftJoin('tag_expiries as expiry', join =>
      join
        .onRef('expiry.repository', '=', 'tags.repository')
        .onRef('expiry.tag', '=', 'tags.name')
        .onRef('expiry.digest', '=', 'tags.digest')
        .onRef('expiry.tag_set_at', '=', 'tags.updated_at'),
    )
    .select(['tags.name', 'tags.digest', 'tags.updated_at', 'pulled.at', 'expiry.expires_at'])
    .where('tags.repository', '=', repository)
    .where(tag === undefined ? sql<SqlBool>`tags.name > ${after ?? ''}` : sql<SqlBool>`tags.name = ${tag}`)
    .orderBy('tags.name')
    .limit(limit)
    .execute()
  if (rows.length === 0) return []
  const isImmutable = await immutableTags(db, repository)
  const present = await presentOwners(
    db,
    repository,
    rows.map(({ name }) => name),
  )
  return rows.map(row => {
    const owner = ownerOfTag(row.name)
    return {
      tag: row.name,
      digest: row.digest,
      pushedAt: new Date(row.updated_at),
      pulledAt: dateOf(row.at),
      expiresAt: dateOf(row.expires_at),
      isImmutable: isImmutable(row.name),
      isOwnerPresent: owner === undefined ? null : owner.digest === undefined || present.has(owner.digest),
    }
  })
}

/** Which of the manifests that these tags belong to are there, or can be brought back. */
async function presentOwners(
  db: Kysely<Schema>,
  repository: RepositoryName,
  tags: readonly Tag[],
): Promise<Set<Digest>> {
  const owners = tags.flatMap(tag => ownerOfTag(tag)?.digest ?? [])
  const present = await deletedAmong(db, repository, owners)
  for (const batch of batches([...new Set(owners)])) {
    const rows = await db
      .selectFrom('manifests')
      .select('digest')
      .where('repository', '=', repository)
      .where('digest', 'in', batch)
      .execute()
    for (const { digest } of rows) present.add(digest)
  }
  return present
}

/** As {@link RetentionRecords.listUntagged}. */
export async function selectUntagged(
  db: Kysely<Schema>,
  repository: RepositoryName,
  { after, limit }: { readonly after: Digest | undefined; readonly limit: number },
): Promise<UntaggedFacts[]> {
  const { rows } = await sql<{ digest: Digest; released_at: number; at: number | null }>`
    select manifest.digest, manifest.released_at, pulled.at
    from manifests as manifest
    left join pulled_manifests as pulled
      on pulled.repository = manifest.repository and pulled.digest = manifest.digest
    where manifest.repository = ${repository} and manifest.digest > ${after ?? ''} and manifest.dropped = 0
      and not exists (select 1 from tags
        where tags.repository = manifest.repository and tags.digest = manifest.digest)
      and not exists (select 1 from manifest_references as reference
        where reference.repository = manifest.repository and reference.digest = manifest.digest
          and reference.role = 'child')
      and not exists (select 1 from deleted_references as reference
        where reference.repository = manifest.repository and reference.digest = manifest.digest)
      and not exists (select 1 from manifests as subject
        where subject.repository = manifest.repository and subject.digest = manifest.subject)
    order by manifest.digest
    limit ${limit}
  `.execute(db)
  return rows.map(({ digest, released_at, at }) => ({
    digest,
    since: new Date(released_at),
    pulledAt: dateOf(at),
  }))
}

function dateOf(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms)
}
