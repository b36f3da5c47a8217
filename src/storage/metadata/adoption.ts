import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { AdoptedBlob, AdoptedTag, AdoptionRecords, TagOutcome } from './adoption-records.ts'
import { insertBlob, insertLink } from './blobs.ts'
import type { Database } from './database.ts'
import type { StoredBlob } from './metadata.ts'
import { lockRepository } from './repositories.ts'

export class KyselyAdoption implements AdoptionRecords {
  readonly #database: Database
  readonly #now: () => number

  constructor(database: Database, now: () => number) {
    this.#database = database
    this.#now = now
  }

  adoptBlob(blob: AdoptedBlob, options?: Abortable): Promise<StoredBlob> {
    return this.#database.write(options, async db => {
      const now = this.#now()
      const stored = await insertBlob(db, blob, now)
      await insertLink(db, blob.repository, blob.digest, now)
      return stored
    })
  }

  adoptTag({ repository, tag, digest, changedAt }: AdoptedTag, options?: Abortable): Promise<TagOutcome> {
    return this.#database.write(options, async db => {
      await lockRepository(db, repository)
      const manifest = await db
        .selectFrom('manifests')
        .select('digest')
        .where('repository', '=', repository)
        .where('digest', '=', digest)
        .executeTakeFirst()
      if (manifest === undefined)
        throw new DomainError('not_found', `The repository ${repository} has no manifest ${digest}.`, {
          resource: 'manifest',
          name: digest,
        })
      const present = await db
        .selectFrom('tags')
        .select(['digest', 'updated_at'])
        .where('repository', '=', repository)
        .where('name', '=', tag)
        .executeTakeFirst()
      if (present?.digest === digest) return 'same'
      if (present !== undefined && present.updated_at > changedAt.getTime()) return 'kept'
      // The time over there, not ours: what changes there while we are at work must still count as later.
      const updatedAt = Math.min(changedAt.getTime(), this.#now())
      await db
        .insertInto('tags')
        .values({ repository, name: tag, digest, updated_at: updatedAt })
        .onConflict(conflict =>
          conflict.columns(['repository', 'name']).doUpdateSet({ digest, updated_at: updatedAt }),
        )
        .execute()
      return 'set'
    })
  }
}
