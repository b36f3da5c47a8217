import { sql } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { ChangeOptions } from '../requester.ts'
import type { Database } from './database.ts'
import type { EventWriter } from './event-writer.ts'
import { untagEvent } from './manifest-events.ts'
import type { Page } from './page.ts'
import type { Releases } from './releases.ts'
import { isSeen, lockRepository } from './repository-rows.ts'
import type { RepositoryRecords } from './repository-records.ts'
import { storablePrefix } from './storable-text.ts'
import type { TagRecords } from './tag-records.ts'
import { recordTagChanges } from './tag-history.ts'
import { assertMutable } from './tag-rules.ts'

export class KyselyTags implements TagRecords {
  readonly #database: Database
  readonly #repositories: RepositoryRecords
  readonly #events: EventWriter
  readonly #releases: Releases
  readonly #now: () => number

  constructor(
    database: Database,
    repositories: RepositoryRecords,
    { events, releases }: { events: EventWriter; releases: Releases },
    now: () => number,
  ) {
    this.#database = database
    this.#repositories = repositories
    this.#events = events
    this.#releases = releases
    this.#now = now
  }

  async listTags(
    repository: RepositoryName,
    { limit, after = '' }: Page,
    options?: Abortable,
  ): Promise<Tag[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('tags')
        .select('name')
        .where('repository', '=', repository)
        .where(isSeen(sql`${repository}`))
        .where(sql<boolean>`name > ${storablePrefix(after)}`)
        .orderBy('name')
        .limit(limit)
        .execute(),
    )
    if (rows.length === 0 && !(await this.#repositories.hasRepository(repository, options)))
      throw new DomainError('not_found', `The repository ${repository} does not exist.`, {
        resource: 'repository',
        name: repository,
      })
    return rows.map(row => row.name)
  }

  async deleteTag(repository: RepositoryName, tag: Tag, options?: ChangeOptions): Promise<void> {
    await this.#database.write(options, async db => {
      const isThere = await lockRepository(db, repository)
      const deleted = await db
        .deleteFrom('tags')
        .where('repository', '=', repository)
        .where('name', '=', tag)
        .returning('digest')
        .executeTakeFirst()
      if (!isThere || deleted === undefined)
        throw new DomainError('not_found', `The repository ${repository} has no tag ${tag}.`, {
          resource: 'tag',
          name: tag,
        })
      await assertMutable(db, repository, [tag])
      await this.#releases.untagged(db, repository, [deleted.digest])
      const now = this.#now()
      const move = { tag, digest: null, previous: deleted.digest }
      const account = options?.by?.account ?? null
      await recordTagChanges(db, repository, [move], { cause: 'delete', at: now, account })
      const occasion = { at: new Date(now), by: options?.by }
      await this.#events.write(db, [untagEvent(repository, tag, deleted.digest, occasion)])
    })
  }
}
