import type { Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import { formatReference, type Reference, type RepositoryName } from '../reference.ts'
import { type Burial, type BuriedManifest, bury, forgetBurial, takeTagsOff } from './bury.ts'
import type { Database } from './database.ts'
import type { EventWriter } from './event-writer.ts'
import type { KeepTimes } from './keep-times.ts'
import { holds, type ManifestCondition } from './manifest-condition.ts'
import { deletionEvents, pushEvents } from './manifest-events.ts'
import { type InfoRow, ManifestLookup } from './manifest-lookup.ts'
import { insertEdges, insertManifest, pointTags } from './manifest-rows.ts'
import type {
  DeleteManifestOptions,
  ManifestInfo,
  ManifestRecords,
  NewManifest,
  PutManifestOptions,
  ReferrerList,
  ReferrerPage,
  StoredManifest,
} from './manifest-records.ts'
import { missingReferences } from './missing-references.ts'
import { listReferrers } from './referrers.ts'
import type { Releases } from './releases.ts'
import { lockNewRepository, lockRepository } from './repository-rows.ts'
import type { Schema } from './schema.ts'
import { isStorable } from './storable-text.ts'
import { recordTagChanges } from './tag-history.ts'
import { assertMutable, assertNotKept } from './tag-rules.ts'
import type { UsageWriter } from './usage-writer.ts'

export class KyselyManifests implements ManifestRecords {
  readonly #database: Database
  readonly #events: EventWriter
  readonly #usage: UsageWriter
  readonly #releases: Releases
  readonly #times: KeepTimes
  readonly #now: () => number
  readonly #lookup: ManifestLookup

  constructor(
    database: Database,
    parts: { events: EventWriter; usage: UsageWriter; releases: Releases; times: KeepTimes },
    now: () => number,
  ) {
    this.#database = database
    this.#events = parts.events
    this.#usage = parts.usage
    this.#releases = parts.releases
    this.#times = parts.times
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
      if (isNew) await insertEdges(db, repository, [manifest])
      else await this.#releases.putAgain(db, repository, manifest.digest)
      // One that could have been taken back has gone on counting.
      const isCounted = !isNew || (await forgetBurial(db, repository, manifest.digest))
      await this.#usage.write(db, repository, { bytes: isCounted ? 0 : manifest.size, repositories })
      const occasion = { at: new Date(now), by: options?.by }
      const tags = await pointTags(db, repository, manifest, now)
      const moves = [...tags].map(([tag, before]) => ({
        tag,
        digest: manifest.digest,
        previous: before ?? null,
      }))
      const account = options?.by?.account ?? null
      await recordTagChanges(db, repository, moves, { cause: 'push', at: now, account })
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

  async deleteManifest(
    repository: RepositoryName,
    digest: Digest,
    { by, signal, isFinal = false }: DeleteManifestOptions = {},
  ): Promise<void> {
    await this.#database.write({ signal }, async db => {
      if (!(await lockRepository(db, repository))) throw unknownManifest(repository, digest)
      const now = this.#now()
      const burial = { at: now, account: by?.account ?? null }
      const deleted = isFinal
        ? await this.#remove(db, repository, digest, burial)
        : await bury(db, repository, digest, burial, this.#times)
      if (deleted === undefined) throw unknownManifest(repository, digest)
      await assertMutable(db, repository, deleted.tags)
      await assertNotKept(db, repository, digest)
      await this.#events.write(
        db,
        deletionEvents(repository, deleted, deleted.tags, { at: new Date(now), by }),
      )
    })
  }

  async #remove(
    db: Transaction<Schema>,
    repository: RepositoryName,
    digest: Digest,
    { at, account }: Burial,
  ): Promise<BuriedManifest | undefined> {
    const taken = await takeTagsOff(db, repository, [digest])
    const tags = taken.map(({ name }) => name)
    const moves = tags.map(tag => ({ tag, digest: null, previous: digest }))
    await recordTagChanges(db, repository, moves, { cause: 'delete', at, account })
    await this.#releases.deleted(db, repository, digest)
    const removed = await db
      .deleteFrom('manifests')
      .where('repository', '=', repository)
      .where('digest', '=', digest)
      .returning(['media_type as mediaType', 'size'])
      .executeTakeFirst()
    if (removed === undefined) return undefined
    await this.#usage.write(db, repository, { bytes: -removed.size })
    return { digest, ...removed, tags }
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

/** The message goes with every missing digest into one answer, so it must not name them all. */
function listSome(digests: readonly Digest[]): string {
  const some = digests.slice(0, 3).join(', ')
  return digests.length > 3 ? `${some} and ${digests.length - 3} more` : some
}

function unknownManifest(repository: RepositoryName, reference: string): DomainError {
  return new DomainError('not_found', `The repository ${repository} has no manifest ${reference}.`, {
    resource: 'manifest',
    name: reference,
  })
}
