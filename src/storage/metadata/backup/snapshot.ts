import type { Abortable } from '../../abortable.ts'
import type { ColumnTypes } from '../column-types.ts'

/**
 * CONTRACT. All that a database has, as of one moment, whatever is written meanwhile. Of no engine in particular: what one
 * gives, the other takes.
 */
export interface MetadataSnapshot extends AsyncDisposable {
  readonly shape: SnapshotShape
  /**
   * Rows of a table, in no particular order, some at a time. One table after the other.
   * @throws DomainError `unavailable`, also when the database is damaged.
   */
  rows(table: TableShape, options?: Abortable): AsyncIterable<readonly Row[]>
}

export interface SnapshotShape {
  readonly engine: ColumnTypes['engine']
  /** Changes of the schema that the database has had, oldest first. */
  readonly migrations: readonly string[]
  /** In an order in which they can be filled: each after those that it refers to. */
  readonly tables: readonly TableShape[]
}

export interface TableShape {
  readonly name: string
  readonly columns: readonly ColumnShape[]
}

export interface ColumnShape {
  readonly name: string
  readonly type: ColumnKind
}

export type ColumnKind = 'text' | 'integer' | 'bytes'

/** In the order of the table's columns. */
export type Row = readonly Value[]

export type Value = string | number | Uint8Array | null

/** Rows of one table, as they come out of a backup. */
export interface TableRows {
  readonly table: TableShape
  readonly rows: readonly Row[]
}

/** What a database is filled with. */
export interface SnapshotContent {
  readonly shape: SnapshotShape
  /** May be read more than once; each table once each time, in the order of the shape. */
  rows(options?: Abortable): AsyncIterable<TableRows>
}

/** Rows that are in memory at once, and of tables with bytes, of which a row may have megabytes. */
export const rowsAtOnce = 500
export const largeRowsAtOnce = 16

export function rowsAtOnceOf({ columns }: TableShape): number {
  return columns.some(({ type }) => type === 'bytes') ? largeRowsAtOnce : rowsAtOnce
}
