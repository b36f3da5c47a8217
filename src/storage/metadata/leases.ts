import { sql } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { Database } from './database.ts'
import type { LeaseKind, LeaseRow } from './rows/mirror.ts'

export interface Lease {
  readonly holder: string
  readonly until: Date
}

/** Who does something of this kind that only one may do at a time, among all processes. */
export class Leases {
  readonly #database: Database
  readonly #now: () => number
  readonly #kind: LeaseKind

  constructor(database: Database, kind: LeaseKind, now: () => number) {
    this.#database = database
    this.#kind = kind
    this.#now = now
  }

  /** Takes it, or extends it; false while another has it. */
  async take(name: string, { holder, until }: Lease, options?: Abortable): Promise<boolean> {
    // Most that ask have to wait, and asking should not be in anybody's way.
    const seen = await this.#database.read(options, db =>
      db
        .selectFrom('leases')
        .select(['holder', 'lease_until'])
        .where('kind', '=', this.#kind)
        .where('name', '=', name)
        .executeTakeFirst(),
    )
    if (seen !== undefined && !isFree(seen, holder, this.#now())) return false
    const row = { kind: this.#kind, name, holder, lease_until: until.getTime() }
    const { numInsertedOrUpdatedRows } = await this.#database.write(options, db =>
      db
        .insertInto('leases')
        .values(row)
        .onConflict(conflict =>
          conflict
            .columns(['kind', 'name'])
            .doUpdateSet({ holder, lease_until: row.lease_until })
            .where(mine =>
              mine.or([
                mine('leases.holder', '=', holder),
                mine('leases.lease_until', '<=', sql<number>`${this.#now()}`),
              ]),
            ),
        )
        .executeTakeFirstOrThrow(),
    )
    return numInsertedOrUpdatedRows === 1n
  }

  /** Whether anybody has it. */
  async isHeld(name: string, options?: Abortable): Promise<boolean> {
    const row = await this.#database.read(options, db =>
      db
        .selectFrom('leases')
        .select('lease_until')
        .where('kind', '=', this.#kind)
        .where('name', '=', name)
        .executeTakeFirst(),
    )
    return row !== undefined && row.lease_until > this.#now()
  }

  async release(name: string, holder: string, options?: Abortable): Promise<void> {
    await this.#database.write(options, db =>
      db
        .deleteFrom('leases')
        .where('kind', '=', this.#kind)
        .where('name', '=', name)
        .where('holder', '=', holder)
        .execute(),
    )
  }

  /** Forgets what died with its holder: leases that ran out before `before`. */
  async forget(before: Date, options?: Abortable): Promise<void> {
    await this.#database.write(options, db =>
      db
        .deleteFrom('leases')
        .where('kind', '=', this.#kind)
        .where('lease_until', '<', Math.min(before.getTime(), this.#now()))
        .execute(),
    )
  }
}

function isFree(row: Pick<LeaseRow, 'holder' | 'lease_until'>, holder: string, now: number): boolean {
  return row.holder === holder || row.lease_until <= now
}
