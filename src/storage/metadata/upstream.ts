import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import { batches } from './batches.ts'
import type { Database } from './database.ts'
import type { EventWriter } from './event-writer.ts'
import { selectEvictable, sumBytesBelow } from './evictable.ts'
import { Leases } from './leases.ts'
import type { LinkWriter } from './link-writer.ts'
import type { MirrorLease } from './mirror-records.ts'
import type { PulledManifest, UpstreamRecords, UpstreamTag } from './upstream-records.ts'
import { unlinkUnnamed } from './unlink-unnamed.ts'

/** There is one, whatever upstream it is of. */
const evictionName = 'copies'

export class KyselyUpstream implements UpstreamRecords {
  readonly #database: Database
  readonly #events: EventWriter
  readonly #links: LinkWriter
  readonly #now: () => number
  readonly #fills: Leases
  readonly #evictions: Leases

  constructor(database: Database, events: EventWriter, links: LinkWriter, now: () => number) {
    this.#database = database
    this.#events = events
    this.#links = links
    this.#now = now
    this.#fills = new Leases(database, 'fill', now)
    this.#evictions = new Leases(database, 'evict', now)
  }

  async findUpstreamTag(
    repository: RepositoryName,
    tag: Tag,
    options?: Abortable,
  ): Promise<UpstreamTag | undefined> {
    const row = await this.#database.read(options, db =>
      db
        .selectFrom('upstream_tags')
        .select(['checked_at', 'digest'])
        .where('repository', '=', repository)
        .where('tag', '=', tag)
        .executeTakeFirst(),
    )
    return row && { checkedAt: new Date(row.checked_at), digest: row.digest }
  }

  async noteUpstreamTag(
    repository: RepositoryName,
    tag: Tag,
    { checkedAt, digest }: UpstreamTag,
    options?: Abortable,
  ): Promise<void> {
    const columns = { checked_at: checkedAt.getTime(), digest }
    await this.#database.write(options, db =>
      db
        .insertInto('upstream_tags')
        .values({ repository, tag, ...columns })
        .onConflict(conflict => conflict.columns(['repository', 'tag']).doUpdateSet(columns))
        .execute(),
    )
  }

  async forgetUpstreamTags(before: Date, limit: number, options?: Abortable): Promise<number> {
    await this.#fills.forget(before, options)
    const { numDeletedRows } = await this.#database.write(options, db =>
      db
        .deleteFrom('upstream_tags')
        .where(row =>
          row(
            row.refTuple('repository', 'tag'),
            'in',
            row
              .selectFrom('upstream_tags')
              .select(['repository', 'tag'])
              .where('checked_at', '<', before.getTime())
              .orderBy('checked_at')
              .limit(limit)
              .$asTuple('repository', 'tag'),
          ),
        )
        .executeTakeFirstOrThrow(),
    )
    return Number(numDeletedRows)
  }

  async notePulled(pulled: readonly PulledManifest[], options?: Abortable): Promise<void> {
    options?.signal?.throwIfAborted()
    if (pulled.length === 0) return
    const latest = [...latestOf(pulled)]
    await this.#database.write(options, async db => {
      for (const batch of batches(latest)) {
        const present = await db
          .selectFrom('manifests')
          .select(['repository', 'digest'])
          .where(row =>
            row(
              row.refTuple('repository', 'digest'),
              'in',
              batch.map(({ repository, digest }) => row.tuple(repository, digest)),
            ),
          )
          .orderBy('repository')
          .orderBy('digest')
          .forKeyShare()
          .execute()
        if (present.length === 0) continue
        const times = new Map(batch.map(each => [keyOf(each), each.at.getTime()]))
        await db
          .insertInto('pulled_manifests')
          .values(present.map(each => ({ ...each, at: times.get(keyOf(each)) ?? 0 })))
          .onConflict(conflict =>
            conflict
              .columns(['repository', 'digest'])
              .doUpdateSet(row => ({ at: row.ref('excluded.at') }))
              .whereRef('pulled_manifests.at', '<', 'excluded.at'),
          )
          .execute()
      }
    })
  }

  async listEvictable(
    prefix: RepositoryName,
    before: Date,
    limit: number,
    options?: Abortable,
  ): Promise<PulledManifest[]> {
    const time = before.getTime()
    const rows = await this.#database.read(options, db => selectEvictable(db, prefix, time, limit))
    return rows.map(({ repository, digest, at }) => ({ repository, digest, at: new Date(at) }))
  }

  bytesBelow(prefix: RepositoryName, options?: Abortable): Promise<number> {
    return this.#database.read(options, db => sumBytesBelow(db, prefix))
  }

  unlinkUnnamed(repository: RepositoryName, before: Date, options?: Abortable): Promise<number> {
    const parts = { events: this.#events, links: this.#links, now: this.#now }
    return unlinkUnnamed(this.#database, parts, { repository, before }, options)
  }

  leaseFill(
    repository: RepositoryName,
    digest: Digest,
    lease: MirrorLease,
    options?: Abortable,
  ): Promise<boolean> {
    return this.#fills.take(keyOf({ repository, digest }), lease, options)
  }

  releaseFill(
    repository: RepositoryName,
    digest: Digest,
    holder: string,
    options?: Abortable,
  ): Promise<void> {
    return this.#fills.release(keyOf({ repository, digest }), holder, options)
  }

  leaseEviction(lease: MirrorLease, options?: Abortable): Promise<boolean> {
    return this.#evictions.take(evictionName, lease, options)
  }

  releaseEviction(holder: string, options?: Abortable): Promise<void> {
    return this.#evictions.release(evictionName, holder, options)
  }

  async sizesNamed(repository: RepositoryName, digest: Digest, options?: Abortable): Promise<number[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('manifest_references')
        .select('size')
        .distinct()
        .where('repository', '=', repository)
        .where('digest', '=', digest)
        .orderBy('size')
        .limit(10)
        .execute(),
    )
    return rows.map(({ size }) => size)
  }
}

interface ManifestKey {
  readonly repository: RepositoryName
  readonly digest: Digest
}

function keyOf({ repository, digest }: ManifestKey): string {
  return `${repository}@${digest}`
}

/** Each once, in one order, so that two who note at the same time never wait for each other. */
function latestOf(pulled: readonly PulledManifest[]): Iterable<PulledManifest> {
  const latest = new Map<string, PulledManifest>()
  for (const each of pulled) {
    const key = keyOf(each)
    const known = latest.get(key)
    if (known === undefined || known.at < each.at) latest.set(key, each)
  }
  return [...latest].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each)
}
