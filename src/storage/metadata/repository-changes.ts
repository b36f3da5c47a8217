import { setImmediate as others } from 'node:timers/promises'
import type { Abortable } from '../abortable.ts'
import type { RepositoryName } from '../reference.ts'
import type { ChangeOptions } from '../requester.ts'
import { type BuryParts, buryBatch, hideRepository } from './bury-repository.ts'
import type { Database } from './database.ts'
import type { LinkWriter } from './link-writer.ts'
import type { Page } from './page.ts'
import { purgeBatch } from './purge-repository.ts'
import type { Releases } from './releases.ts'
import { renameRepository } from './rename-repository.ts'
import { describeRepository, listStates } from './repository-facts.ts'
import type {
  ForcibleOptions,
  MovedContents,
  RepositoryChangeRecords,
  RepositoryFacts,
  RepositoryFilter,
  RepositoryRename,
  RepositoryState,
  RestoredContents,
} from './repository-records.ts'
import { beginRestoring, type RestorePlace, restoreBatch } from './restore-repository.ts'

export interface RepositoryChangeParts extends BuryParts {
  readonly links: LinkWriter
  readonly releases: Releases
}

/** Repositories that are gone on with at a time. */
const unfinishedAtOnce = 10

/** Transactions that go on with one deletion at a time. */
const batchesAtOnce = 20

export class KyselyRepositoryChanges implements RepositoryChangeRecords {
  readonly #database: Database
  readonly #parts: RepositoryChangeParts
  readonly #now: () => number

  constructor(database: Database, parts: RepositoryChangeParts, now: () => number) {
    this.#database = database
    this.#parts = parts
    this.#now = now
  }

  listRepositoryStates(
    filter: RepositoryFilter,
    page: Page,
    options?: Abortable,
  ): Promise<RepositoryState[]> {
    return this.#database.read(options, db => listStates(db, filter, page))
  }

  describeRepository(name: RepositoryName, options?: Abortable): Promise<RepositoryFacts> {
    return this.#database.read(options, db => describeRepository(db, name))
  }

  async deleteRepository(name: RepositoryName, options: ForcibleOptions = {}): Promise<MovedContents> {
    const { isForced = false, by } = options
    // What is small is done with in the same transaction.
    const { contents, hasMore } = await this.#database.write(options, async db => ({
      contents: await hideRepository(db, this.#parts, name, { isForced, by, now: this.#now() }),
      hasMore: await buryBatch(db, this.#parts, name),
    }))
    if (hasMore) await this.#bury(name, Number.POSITIVE_INFINITY, options)
    return contents
  }

  async restoreRepository(name: RepositoryName, options?: ChangeOptions): Promise<RestoredContents> {
    await this.#database.write(options, db => beginRestoring(db, name, { by: options?.by, now: this.#now() }))
    return this.#restore(name, options)
  }

  async purgeRepository(name: RepositoryName, options?: ChangeOptions): Promise<void> {
    const batch = () =>
      this.#database.write(options, db =>
        purgeBatch(db, this.#parts, name, { at: new Date(this.#now()), by: options?.by }),
      )
    while (!(await batch()));
  }

  renameRepository(rename: RepositoryRename, options: ForcibleOptions = {}): Promise<MovedContents> {
    const { isForced = false, by } = options
    return this.#database.write(options, db =>
      renameRepository(db, this.#parts, rename, { isForced, by, now: this.#now() }),
    )
  }

  async finishRepositories(options?: Abortable): Promise<boolean> {
    const unfinished = await this.#database.read(options, db =>
      db
        .selectFrom('repositories')
        .select(['name', 'moving'])
        .where('moving', 'is not', null)
        .orderBy('name')
        .limit(unfinishedAtOnce)
        .execute(),
    )
    let hasMore = unfinished.length === unfinishedAtOnce
    for (const { name, moving } of unfinished)
      if (moving === 'restore') await this.#restore(name, options)
      else if (await this.#bury(name, batchesAtOnce, options)) hasMore = true
    return hasMore
  }

  /** Answers whether there is more. */
  async #bury(name: RepositoryName, batches: number, options: Abortable | undefined): Promise<boolean> {
    for (let done = 0; done < batches; done += 1) {
      // An embedded database answers at once, and nobody else would have a turn before all is done.
      await others(undefined, { signal: options?.signal })
      if (!(await this.#database.write(options, db => buryBatch(db, this.#parts, name)))) return false
    }
    return true
  }

  async #restore(name: RepositoryName, options: Abortable | undefined): Promise<RestoredContents> {
    let [manifests, tags, lost] = [0, 0, 0]
    for (let place: RestorePlace | undefined = {}; place !== undefined; ) {
      const at: RestorePlace = place
      await others(undefined, { signal: options?.signal })
      const batch = await this.#database.write(options, db =>
        restoreBatch(db, this.#parts, name, at, this.#now()),
      )
      manifests += batch?.manifests ?? 0
      tags += batch?.tags ?? 0
      lost += batch?.lost ?? 0
      place = batch?.next
    }
    return { manifests, tags, lost }
  }
}
