import { type Row, rowsAtOnceOf, type TableRows, type TableShape } from '../metadata/backup/snapshot.ts'

/** Characters of rows that are in memory at once, but for a single one that is longer. */
const batchLength = 8 * 1024 * 1024

/** Puts single rows together, as many as may be in memory at once: by their number, and whatever they have in them. */
export class RowBatcher {
  #table: TableShape | undefined
  #rows: Row[] = []
  #length = 0

  /** @param length of its line. @returns rows that are to be used before this one is. */
  add(table: TableShape, row: Row, length: number): TableRows | undefined {
    const isFull = this.#rows.length >= rowsAtOnceOf(table) || this.#length + length > batchLength
    const full = this.#table !== table || isFull ? this.take() : undefined
    this.#table = table
    this.#rows.push(row)
    this.#length += length
    return full
  }

  take(): TableRows | undefined {
    const rows = this.#rows
    this.#rows = []
    this.#length = 0
    return this.#table === undefined || rows.length === 0 ? undefined : { table: this.#table, rows }
  }
}
