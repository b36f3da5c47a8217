import type { Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import { formatReference, type Reference, type RepositoryName, type Tag } from '../reference.ts'
import type { ChangeOptions } from '../requester.ts'
import { batches } from './batches.ts'
import type { Database } from './database.ts'
import type { EventWriter } from './event-writer.ts'
import { deletionEvents, pushEvents } from './manifest-events.ts'
import { holds, type ManifestCondition } from './manifest-condition.ts'
import { type InfoRow, ManifestLookup } from './manifest-lookup.ts'
import type {
  ManifestInfo,
  ManifestRecords,
  NewManifest,
  PutManifestOptions,
  ReferrerList,
  ReferrerPage,
  StoredManifest,
} from './metadata.ts'
import { missingReferences } from './missing-references.ts'
import { listReferrers } from './referrers.ts'
import type { Releases } from './releases.ts'
import { lockNewRepository, lockRepository } from './repositories.ts'
import type { ManifestReferenceRow, ManifestRow, Schema } from './schema.ts'
import { isStorable } from './storable-text.ts'
import { assertMutable, assertNotKept } from './tag-rules.ts'
import type { UsageWriter } from './usage-writer.ts'

export class KyselyManifests implements ManifestRecords {
  readonly #database: Database
  readonly #events: EventWriter
  readonly #usage: UsageWriter
  readonly #releases: Releases
  readonly #now: () => number
  readonly #lookup: ManifestLookup

  constructor(
    database: Database,
    { events, usage, releases }: { events: EventWriter; usage: UsageWriter; releases: Releases },
    now: () => number,
  ) {
    this.#database = database
    this.#events = events
    this.#usage = usage
    this.#releases = releases
    this.#now = now
    this.#lookup = new ManifestLookup(database)
  }

  async putManifest(
    repository: RepositoryName,
    manifest: NewManifest,
    options?: PutManifestOptions,
  ): Promise<void> {
    assertStorable(manifest)
    await this.#database.write(options, async db => {
      const now = this.#now()
      const repositories = (await lockNewRepository(db, repository, now)) ? 1 : 0
      if (options?.condition !== undefined) await this.#assertHolds(db, repository, options.condition)
      const missing = await missingReferences(db, repository, manifest)
      if (missing.length > 0)
        throw new DomainError(
          'missing_reference',
          `The manifest ${manifest.digest} names content that ${repository} does not have: ${listSome(missing)}; push them first.`,
          { resource: 'manifest', name: manifest.digest, missing },
        )
      const release = this.#releases.columnsOf({ isTagged: manifest.tags.length > 0 })
      const isNew = await insertManifest(db, repository, manifest, { ...release, created_at: now })
      if (isNew) await insertEdges(db, repository, manifest)
      else await this.#releases.putAgain(db, repository, manifest.digest)
      await this.#usage.write(db, repository, { bytes: isNew ? manifest.size : 0, repositories })
      const occasion = { at: new Date(now), by: options?.by }
      const tags = await pointTags(db, repository, manifest, now)
      const moved = [...tags].filter(([, before]) => before !== undefined && before !== manifest.digest)
      await assertMutable(
        db,
        repository,
        moved.map(([tag]) => tag),
      )
      await this.#releases.untagged(
        db,
        repository,
        moved.flatMap(([, before]) => before ?? []),
      )
      await this.#events.write(db, pushEvents(repository, manifest, tags, occasion))
    })
  }

  async getManifest(
    repository: RepositoryName,
    reference: Reference,
    options?: Abortable,
  ): Promise<StoredManifest> {
    const row = await this.#database.read(options, db => this.#lookup.manifest(db, repository, reference))
    if (row === undefined || !(await this.#isKept(repository, reference, row, options)))
      throw unknownManifest(repository, formatReference(reference))
    return { digest: row.digest, mediaType: row.media_type, size: row.size, bytes: row.bytes }
  }

  async statManifest(
    repository: RepositoryName,
    reference: Reference,
    options?: Abortable,
  ): Promise<ManifestInfo> {
    const row = await this.#database.read(options, db => this.#lookup.info(db, repository, reference))
    if (row === undefined || !(await this.#isKept(repository, reference, row, options)))
      throw unknownManifest(repository, formatReference(reference))
    return { digest: row.digest, mediaType: row.media_type, size: row.size }
  }

  /** Nobody is told that a manifest is there which may go in a moment. One that something names costs nothing here. */
  async #isKept(
    repository: RepositoryName,
    reference: Reference,
    row: InfoRow,
    options: Abortable | undefined,
  ): Promise<boolean> {
    // Whose tag goes has its whole grace before it.
    if (reference.kind === 'tag' || this.#releases.isPromised(row)) return true
    return this.#database.write(options, db => this.#releases.keep(db, repository, row.digest))
  }

  async deleteManifest(repository: RepositoryName, digest: Digest, options?: ChangeOptions): Promise<void> {
    await this.#database.write(options, async db => {
      await lockRepository(db, repository)
      const tags = await db
        .deleteFrom('tags')
        .where('repository', '=', repository)
        .where('digest', '=', digest)
        .returning('name')
        .execute()
      await this.#releases.deleted(db, repository, digest)
      const deleted = await db
        .deleteFrom('manifests')
        .where('repository', '=', repository)
        .where('digest', '=', digest)
        .returning(['media_type as mediaType', 'size'])
        .executeTakeFirst()
      if (deleted === undefined) throw unknownManifest(repository, digest)
      const names = tags.map(({ name }) => name).sort()
      await assertMutable(db, repository, names)
      await assertNotKept(db, repository, digest)
      await this.#usage.write(db, repository, { bytes: -deleted.size })
      const occasion = { at: new Date(this.#now()), by: options?.by }
      await this.#events.write(db, deletionEvents(repository, { digest, ...deleted }, names, occasion))
    })
  }

  listReferrers(
    repository: RepositoryName,
    subject: Digest,
    page: ReferrerPage,
    options?: Abortable,
  ): Promise<ReferrerList> {
    return this.#database.read(options, db => listReferrers(db, repository, subject, page))
  }

  /** Decided where the write happens, so that of two conditional pushes one wins. */
  async #assertHolds(
    db: Transaction<Schema>,
    repository: RepositoryName,
    condition: ManifestCondition,
  ): Promise<void> {
    const row = await this.#lookup.info(db, repository, condition.reference)
    if (holds(condition, row?.digest)) return
    const name = formatReference(condition.reference)
    throw new DomainError(
      'conflict',
      `${name} in ${repository} is ${row?.digest ?? 'absent'}, which the condition of the request does not allow; read it again and decide anew.`,
      { resource: 'manifest', name },
    )
  }
}

function assertStorable({ digest, artifactType = '', edges }: NewManifest): void {
  if ([artifactType, ...edges.map(edge => edge.descriptor.mediaType)].every(isStorable)) return
  throw new DomainError(
    'invalid',
    `The manifest ${digest} has a type with a NUL character in it, which no media type has (RFC 6838, 4.2).`,
    { resource: 'manifest', name: digest },
  )
}

/** Whether it was new. A manifest that is there already keeps the media type that it was first pushed with. */
async function insertManifest(
  db: Transaction<Schema>,
  repository: RepositoryName,
  { digest, mediaType, size, bytes, edges, artifactType, annotations }: NewManifest,
  times: Pick<ManifestRow, 'created_at' | 'review_at' | 'released_at'>,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('manifests')
    .values({
      repository,
      digest,
      media_type: mediaType,
      size,
      bytes,
      subject: edges.find(edge => edge.role === 'subject')?.descriptor.digest ?? null,
      artifact_type: artifactType ?? null,
      annotations: annotations === undefined ? null : JSON.stringify(annotations),
      ...times,
      lost_subject: 0,
    })
    .onConflict(conflict => conflict.columns(['repository', 'digest']).doNothing())
    .executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows === 1n
}

/** The message goes with every missing digest into one answer, so it must not name them all. */
function listSome(digests: readonly Digest[]): string {
  const some = digests.slice(0, 3).join(', ')
  return digests.length > 3 ? `${some} and ${digests.length - 3} more` : some
}

async function insertEdges(
  db: Transaction<Schema>,
  repository: RepositoryName,
  { digest, edges }: NewManifest,
): Promise<void> {
  const rows = edges.map(
    ({ role, descriptor }, position): ManifestReferenceRow => ({
      repository,
      manifest: digest,
      position,
      role,
      digest: descriptor.digest,
      media_type: descriptor.mediaType,
      size: descriptor.size,
    }),
  )
  for (const batch of batches(rows)) await db.insertInto('manifest_references').values(batch).execute()
}

/** What each of the tags named before. */
async function pointTags(
  db: Transaction<Schema>,
  repository: RepositoryName,
  { digest, tags }: NewManifest,
  now: number,
): Promise<Map<Tag, Digest | undefined>> {
  const before = new Map<Tag, Digest | undefined>()
  for (const name of new Set(tags)) {
    const { previous } = await db
      .insertInto('tags')
      .values({ repository, name, digest, previous: null, updated_at: now })
      .onConflict(conflict =>
        conflict
          .columns(['repository', 'name'])
          .doUpdateSet(row => ({ digest, previous: row.ref('tags.digest'), updated_at: now })),
      )
      .returning('previous')
      .executeTakeFirstOrThrow()
    before.set(name, previous ?? undefined)
  }
  return before
}

function unknownManifest(repository: RepositoryName, reference: string): DomainError {
  return new DomainError('not_found', `The repository ${repository} has no manifest ${reference}.`, {
    resource: 'manifest',
    name: reference,
  })
}
