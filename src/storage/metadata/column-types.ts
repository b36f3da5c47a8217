import { type ColumnDataType, type RawBuilder, sql } from 'kysely'

type ColumnType = ColumnDataType | RawBuilder<unknown>

/** Where the databases' own names for a type differ; everything else in this folder is SQL that each understands. */
export interface ColumnTypes {
  /** For what only one of them can be told in SQL, such as triggers. */
  readonly engine: 'sqlite' | 'postgres'
  /** Text that sorts in byte order, which for UTF-8 is the order of code points. */
  readonly text: ColumnType
  /** Whole numbers up to 2^53 - 1: sizes in bytes, times in milliseconds. */
  readonly integer: ColumnType
  readonly bytes: ColumnType
  /** For a primary key that the database counts up, row by row, across all that insert at the same time. */
  readonly counter: ColumnType
}

/** SQLite compares text bytewise (collation BINARY) unless told otherwise: sqlite.org/datatype3.html, section 7. */
export const sqliteColumnTypes: ColumnTypes = {
  engine: 'sqlite',
  text: sql`text`,
  integer: 'bigint',
  bytes: 'blob',
  // Other words than these for the same type do not count: sqlite.org/lang_createtable.html, "ROWIDs and the INTEGER
  // PRIMARY KEY".
  counter: sql`integer`,
}

/** Without `collate`, the database's locale decides: in most, "a" < "B". `bigint` is 64 bits wide. */
export const postgresColumnTypes: ColumnTypes = {
  engine: 'postgres',
  text: sql`text collate "C"`,
  integer: 'bigint',
  bytes: 'bytea',
  counter: sql`bigint generated always as identity`,
}
