import { sql } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import type { Database } from './database.ts'
import type { ParentRecords } from './parent-records.ts'
import { isSeen } from './repository-rows.ts'

export class KyselyParents implements ParentRecords {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async listParents(
    repository: RepositoryName,
    child: Digest,
    limit: number,
    options?: Abortable,
  ): Promise<Digest[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('manifests')
        .select('digest')
        .where('repository', '=', repository)
        .where(isSeen(sql`${repository}`))
        // An index may name the same manifest twice.
        .where('digest', 'in', references =>
          references
            .selectFrom('manifest_references')
            .select('manifest')
            .where('repository', '=', repository)
            .where('digest', '=', child)
            .where('role', '=', 'child'),
        )
        .orderBy('created_at', 'desc')
        .orderBy('digest', 'desc')
        .limit(limit)
        .execute(),
    )
    return rows.map(({ digest }) => digest)
  }
}
