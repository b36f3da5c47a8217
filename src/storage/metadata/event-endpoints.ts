import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { Database } from './database.ts'
import type {
  EndpointLease,
  EndpointProgress,
  EndpointRecord,
  EventEndpointRecords,
} from './event-records.ts'
import { lockSequence, sequencePending } from './event-sequence.ts'
import type { EventEndpointRow } from './rows/events.ts'

export class KyselyEventEndpoints implements EventEndpointRecords {
  readonly #database: Database
  readonly #now: () => number

  constructor(database: Database, now: () => number) {
    this.#database = database
    this.#now = now
  }

  async registerEndpoints(names: readonly string[], options?: Abortable): Promise<void> {
    const known = new Set((await this.listEndpoints(options)).map(({ name }) => name))
    const unknown = names.filter(name => !known.has(name))
    if (unknown.length === 0) return
    // What happened before gets the positions before.
    await sequencePending(this.#database, options)
    await this.#database.write(options, async db => {
      const position = await lockSequence(db)
      await db
        .insertInto('event_endpoints')
        .values(unknown.map(name => ({ name, position, failures: 0 })))
        .onConflict(conflict => conflict.column('name').doNothing())
        .execute()
    })
  }

  async leaseEndpoint(
    name: string,
    { holder, until }: EndpointLease,
    options?: Abortable,
  ): Promise<EndpointRecord | undefined> {
    // Most that ask have to wait, and asking should not be in anybody's way.
    const seen = await this.#database.read(options, db =>
      db.selectFrom('event_endpoints').selectAll().where('name', '=', name).executeTakeFirst(),
    )
    if (seen === undefined || !isFree(seen, holder, this.#now())) return undefined
    return this.#database.write(options, async db => {
      const row = await db
        .selectFrom('event_endpoints')
        .selectAll()
        .where('name', '=', name)
        .forUpdate()
        .executeTakeFirst()
      if (row === undefined || !isFree(row, holder, this.#now())) return undefined
      await db
        .updateTable('event_endpoints')
        .set({ holder, lease_until: until.getTime(), next_attempt_at: null })
        .where('name', '=', name)
        .execute()
      return toRecord(row)
    })
  }

  async saveEndpoint(
    name: string,
    holder: string,
    { position, failures, nextAttemptAt, leaseUntil }: EndpointProgress,
    options?: Abortable,
  ): Promise<void> {
    const { numUpdatedRows } = await this.#database.write(options, db =>
      db
        .updateTable('event_endpoints')
        .set({
          position,
          failures,
          next_attempt_at: nextAttemptAt?.getTime() ?? null,
          holder: leaseUntil === undefined ? null : holder,
          lease_until: leaseUntil?.getTime() ?? null,
        })
        .where('name', '=', name)
        .where('holder', '=', holder)
        .executeTakeFirstOrThrow(),
    )
    if (numUpdatedRows === 0n)
      throw new DomainError('conflict', `Another replica tells the endpoint ${name} of events now.`, {
        resource: 'event',
        name,
      })
  }

  async listEndpoints(options?: Abortable): Promise<EndpointRecord[]> {
    const rows = await this.#database.read(options, db =>
      db.selectFrom('event_endpoints').selectAll().orderBy('name').execute(),
    )
    return rows.map(toRecord)
  }
}

function isFree(row: EventEndpointRow, holder: string, now: number): boolean {
  if (row.next_attempt_at !== null && row.next_attempt_at > now) return false
  return row.holder === null || row.holder === holder || row.lease_until === null || row.lease_until <= now
}

function toRecord({ name, position, failures }: EventEndpointRow): EndpointRecord {
  return { name, position, failures }
}
