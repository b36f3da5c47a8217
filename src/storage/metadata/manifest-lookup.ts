import type { Kysely, RawBuilder } from 'kysely'
import type { Digest } from '../digest.ts'
import type { Reference, RepositoryName, Tag } from '../reference.ts'
import type { Database } from './database.ts'
import type { PreparedQuery } from './prepared.ts'
import { isSeen } from './repository-rows.ts'
import type { ManifestRow } from './rows/content.ts'
import type { Schema } from './schema.ts'

export type InfoRow = Pick<ManifestRow, 'digest' | 'media_type' | 'size' | 'review_at' | 'released_at'>

type BytesRow = Pick<ManifestRow, 'bytes'> & InfoRow

type DigestKey = { readonly repository: RepositoryName; readonly digest: Digest }
type TagKey = { readonly repository: RepositoryName; readonly tag: Tag }

interface ByReference<Row> {
  readonly digest: PreparedQuery<DigestKey, Row>
  readonly tag: PreparedQuery<TagKey, Row>
}

/** Finds manifests by what requests call them: the queries of every pull. */
export class ManifestLookup {
  readonly #infos: ByReference<InfoRow>
  readonly #manifests: ByReference<BytesRow>

  constructor(database: Database) {
    this.#infos = {
      digest: database.prepare((db, placeholder) =>
        selectInfo(db, placeholder('repository')).where('manifests.digest', '=', placeholder('digest')),
      ),
      tag: database.prepare((db, placeholder) =>
        selectTagged(db, placeholder('repository'), placeholder('tag')),
      ),
    }
    this.#manifests = {
      digest: database.prepare((db, placeholder) =>
        selectInfo(db, placeholder('repository'))
          .where('manifests.digest', '=', placeholder('digest'))
          .select('manifests.bytes'),
      ),
      tag: database.prepare((db, placeholder) =>
        selectTagged(db, placeholder('repository'), placeholder('tag')).select('manifests.bytes'),
      ),
    }
  }

  /** Without the bytes. */
  info(db: Kysely<Schema>, repository: RepositoryName, reference: Reference): Promise<InfoRow | undefined> {
    return takeFirst(this.#infos, db, repository, reference)
  }

  manifest(
    db: Kysely<Schema>,
    repository: RepositoryName,
    reference: Reference,
  ): Promise<BytesRow | undefined> {
    return takeFirst(this.#manifests, db, repository, reference)
  }
}

function takeFirst<Row>(
  queries: ByReference<Row>,
  db: Kysely<Schema>,
  repository: RepositoryName,
  reference: Reference,
): Promise<Row | undefined> {
  if (reference.kind === 'digest')
    return queries.digest.takeFirst(db, { repository, digest: reference.digest })
  return queries.tag.takeFirst(db, { repository, tag: reference.tag })
}

function selectInfo(db: Kysely<Schema>, repository: RawBuilder<RepositoryName>) {
  return db
    .selectFrom('manifests')
    .select([
      'manifests.digest',
      'manifests.media_type',
      'manifests.size',
      'manifests.review_at',
      'manifests.released_at',
    ])
    .where('manifests.repository', '=', repository)
    .where(isSeen(repository))
}

function selectTagged(db: Kysely<Schema>, repository: RawBuilder<RepositoryName>, tag: RawBuilder<Tag>) {
  return selectInfo(db, repository).where('manifests.digest', '=', tags =>
    tags
      .selectFrom('tags')
      .select('tags.digest')
      .where('tags.repository', '=', repository)
      .where('tags.name', '=', tag),
  )
}
