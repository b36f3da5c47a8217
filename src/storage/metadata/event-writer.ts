import { randomUUID } from 'node:crypto'
import type { Kysely, Transaction } from 'kysely'
import { batches, rowsPerStatement } from './batches.ts'
import type { Database } from './database.ts'
import type { NewEvent } from './event-records.ts'
import { columnsOf } from './event-row.ts'
import type { Placeholders, PreparedQuery } from './prepared.ts'
import type { EventRow } from './rows/events.ts'
import type { Schema } from './schema.ts'

/** Lists of so many events or fewer are common, and their statement is kept; as is that of a full batch, which takes long to build. */
const maxKept = 8

/**
 * Writes what a transaction has to tell. One that locks the repository calls this when it has the lock, so that the
 * events of one repository are written in the order of the changes.
 */
export class EventWriter {
  readonly #database: Database
  readonly #kept = new Map<number, InsertRows>()

  constructor(database: Database) {
    this.#database = database
  }

  async write(db: Transaction<Schema>, events: readonly NewEvent[]): Promise<void> {
    for (const batch of batches(events)) await this.#insert(batch.length).takeFirst(db, valuesOf(batch))
  }

  #insert(count: number): InsertRows {
    const insert = this.#kept.get(count) ?? this.#database.prepare((db, at) => insertRows(db, at, count))
    if (count <= maxKept || count === rowsPerStatement) this.#kept.set(count, insert)
    return insert
  }
}

type InsertRows = PreparedQuery<Values, unknown>

type NewRow = Omit<EventRow, 'serial' | 'position'>

/** The columns of all rows; the number is the row's. */
type Values = { readonly [Column in keyof NewRow as `${Column}${number}`]: NewRow[Column] }

function insertRows(db: Kysely<Schema>, at: Placeholders<Values>, count: number) {
  const rows = Array.from({ length: count }, (_, row) => ({
    id: at(`id${row}` as const),
    at: at(`at${row}` as const),
    kind: at(`kind${row}` as const),
    action: at(`action${row}` as const),
    repository: at(`repository${row}` as const),
    digest: at(`digest${row}` as const),
    tag: at(`tag${row}` as const),
    media_type: at(`media_type${row}` as const),
    size: at(`size${row}` as const),
    previous: at(`previous${row}` as const),
    from_repository: at(`from_repository${row}` as const),
    requester: at(`requester${row}` as const),
    detail: at(`detail${row}` as const),
  }))
  return db.insertInto('events').values(rows)
}

function valuesOf(events: readonly NewEvent[]): Values {
  const values: { -readonly [Name in keyof Values]: Values[Name] } = {}
  for (const [row, event] of events.entries()) {
    const columns = columnsOf(event)
    values[`id${row}`] = randomUUID()
    values[`at${row}`] = event.at.getTime()
    values[`kind${row}`] = event.kind
    values[`action${row}`] = event.action
    values[`repository${row}`] = columns.repository
    values[`digest${row}`] = columns.digest
    values[`tag${row}`] = columns.tag
    values[`media_type${row}`] = columns.media_type
    values[`size${row}`] = columns.size
    values[`previous${row}`] = columns.previous
    values[`from_repository${row}`] = columns.from_repository
    values[`requester${row}`] = columns.requester
    values[`detail${row}`] = columns.detail
  }
  return values
}
