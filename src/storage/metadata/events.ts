import type { Kysely } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { Database } from './database.ts'
import type { EventBounds, EventPage, EventRecords, NewEvent, RegistryEvent } from './event-records.ts'
import { toEvent } from './event-row.ts'
import { sequencePending } from './event-sequence.ts'
import type { EventWriter } from './event-writer.ts'
import type { EventRow } from './rows/events.ts'
import type { Schema } from './schema.ts'

export class KyselyEvents implements EventRecords {
  readonly #database: Database
  readonly #writer: EventWriter

  constructor(database: Database, writer: EventWriter) {
    this.#database = database
    this.#writer = writer
  }

  async addEvents(events: readonly NewEvent[], options?: Abortable): Promise<void> {
    options?.signal?.throwIfAborted()
    if (events.length === 0) return
    await this.#database.write(options, db => this.#writer.write(db, events))
  }

  async listEvents(page: EventPage, options?: Abortable): Promise<RegistryEvent[]> {
    const events = await this.#list(page, options)
    if (events.length === page.limit) return events
    await sequencePending(this.#database, options, page.limit)
    return this.#list(page, options)
  }

  async eventBounds(options?: Abortable): Promise<EventBounds> {
    await sequencePending(this.#database, options)
    return this.#database.read(options, async db => {
      const { newest } = await db.selectFrom('event_sequence').select('newest').executeTakeFirstOrThrow()
      const first = await oldestEvents(db, 1)
      return { oldest: first[0]?.position ?? newest + 1, newest }
    })
  }

  async deleteEvents(before: Date, limit: number, options?: Abortable): Promise<number> {
    // Those that nobody has asked for are not the youngest for that.
    await sequencePending(this.#database, options)
    return this.#database.write(options, async db => {
      const oldest = await oldestEvents(db, limit)
      const firstKept = oldest.findIndex(({ at }) => at >= before.getTime())
      const last = oldest.slice(0, firstKept < 0 ? undefined : firstKept).at(-1)
      if (last === undefined) return 0
      const { numDeletedRows } = await db
        .deleteFrom('events')
        .where('position', '<=', last.position)
        .executeTakeFirstOrThrow()
      return Number(numDeletedRows)
    })
  }

  async #list({ after, limit }: EventPage, options: Abortable | undefined): Promise<RegistryEvent[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('events')
        .selectAll()
        .where('position', '>', after)
        .$narrowType<{ position: number }>()
        .orderBy('position')
        .limit(limit)
        .execute(),
    )
    return rows.map(toEvent)
  }
}

function oldestEvents(
  db: Kysely<Schema>,
  limit: number,
): Promise<(Pick<EventRow, 'at'> & { position: number })[]> {
  return db
    .selectFrom('events')
    .select(['position', 'at'])
    .where('position', 'is not', null)
    .$narrowType<{ position: number }>()
    .orderBy('position')
    .limit(limit)
    .execute()
}
