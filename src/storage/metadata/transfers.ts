import type { Abortable } from '../abortable.ts'
import type { UploadId } from '../blobs/blob-store.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import type { Database } from './database.ts'
import type { TransferRecords } from './transfer-records.ts'

export class KyselyTransfers implements TransferRecords {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async findTransfer(
    repository: RepositoryName,
    digest: Digest,
    options?: Abortable,
  ): Promise<UploadId | undefined> {
    const row = await this.#database.read(options, db =>
      db
        .selectFrom('transfers')
        .select('upload')
        .where('repository', '=', repository)
        .where('digest', '=', digest)
        .executeTakeFirst(),
    )
    return row?.upload
  }

  async noteTransfer(
    repository: RepositoryName,
    digest: Digest,
    upload: UploadId,
    options?: Abortable,
  ): Promise<void> {
    await this.#database.write(options, async db => {
      const session = await db
        .selectFrom('uploads')
        .select('id')
        .where('id', '=', upload)
        .forKeyShare()
        .executeTakeFirst()
      if (session === undefined) return
      await db
        .insertInto('transfers')
        .values({ repository, digest, upload })
        .onConflict(conflict => conflict.columns(['repository', 'digest']).doUpdateSet({ upload }))
        .execute()
    })
  }

  async forgetTransfer(repository: RepositoryName, digest: Digest, options?: Abortable): Promise<void> {
    await this.#database.write(options, db =>
      db.deleteFrom('transfers').where('repository', '=', repository).where('digest', '=', digest).execute(),
    )
  }
}
