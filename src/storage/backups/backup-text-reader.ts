import * as z from 'zod'
import { DomainError } from '../../errors.ts'
import { createDigester, type Digester, parseDigest } from '../digest.ts'
import type { ColumnKind, Row, TableShape, Value } from '../metadata/backup/snapshot.ts'
import {
  backupFormat,
  type BackupHeader,
  type BackupSummary,
  eventPositionOf,
  headerLine,
  lastLine,
  tableLine,
} from './backup-lines.ts'
import { broken } from './broken-backup.ts'

/**
 * Reads what `writeBackupText` has written, one line after the other, and believes nothing of it before the end:
 * `rows` is given to whoever asks, but they may be kept only when the reading has ended well.
 */
export class BackupTextReader {
  readonly #digester: Digester = createDigester('sha256')
  readonly #rowsOf: Record<string, number> = {}
  #header: BackupHeader | undefined
  #table: TableShape | undefined
  #nextTable = 0
  #eventPosition = 0
  #textBytes = 0
  #summary: BackupSummary | undefined

  /** Undefined until the first line. */
  get header(): BackupHeader | undefined {
    return this.#header
  }

  /** @param bytes with the end of the line. @returns the table and the row, of a line that is a row. @throws DomainError `invalid`, `unsupported`. */
  line(bytes: Buffer): { readonly table: TableShape; readonly row: Row } | undefined {
    if (this.#summary !== undefined) throw broken('something comes after its end')
    const parsed = parseJson(bytes)
    this.#textBytes += bytes.length
    if (this.#header === undefined) {
      this.#header = parseHeader(parsed)
      this.#digester.update(bytes)
      return undefined
    }
    if (Array.isArray(parsed)) {
      this.#digester.update(bytes)
      return this.#row(parsed)
    }
    const table = tableLine.safeParse(parsed)
    if (table.success) {
      this.#begin(this.#header, table.data.table)
      this.#digester.update(bytes)
    } else this.#end(this.#header, parsed)
    return undefined
  }

  /** When there are no more lines. @throws DomainError `invalid` when the last line has not been read. */
  end(): BackupSummary {
    if (this.#summary === undefined) throw broken('its end is missing')
    return this.#summary
  }

  #begin({ shape }: BackupHeader, wanted: string): void {
    const table = shape.tables[this.#nextTable]
    if (table?.name !== wanted) throw broken(`the table ${wanted} is not where it should be`)
    this.#nextTable += 1
    this.#table = table
    this.#rowsOf[wanted] = 0
  }

  #row(values: readonly unknown[]): { readonly table: TableShape; readonly row: Row } {
    const table = this.#table
    if (table === undefined) throw broken('a row comes before its table')
    if (values.length !== table.columns.length) throw broken(`a row of ${table.name} has other columns`)
    const row = table.columns.map(({ type }, index) => fromJson(values[index], type, table.name))
    this.#rowsOf[table.name] = (this.#rowsOf[table.name] ?? 0) + 1
    this.#eventPosition = eventPositionOf(table, [row]) ?? this.#eventPosition
    return { table, row }
  }

  #end(head: BackupHeader, parsed: unknown): void {
    const last = lastLine.safeParse(parsed)
    if (!last.success) throw broken('a line of it is none of a backup')
    if (this.#nextTable !== head.shape.tables.length) throw broken('tables are missing')
    const digest = this.#digester.digest()
    if (digest !== last.data.digest || !isSame(last.data.rows, this.#rowsOf))
      throw broken('it was changed after it was written')
    this.#summary = {
      header: head,
      rows: this.#rowsOf,
      digest: parseDigest(digest),
      textBytes: this.#textBytes,
      eventPosition: this.#eventPosition,
    }
  }
}

function parseHeader(parsed: unknown): BackupHeader {
  const version = z.looseObject({ varve: z.literal('backup'), format: z.int() }).safeParse(parsed)
  if (!version.success) throw broken('it does not begin as a backup does')
  if (version.data.format !== backupFormat)
    throw new DomainError(
      'unsupported',
      `The backup is of format ${version.data.format}, which this version does not know; restore it with the Varve that made it, or a newer one.`,
      { resource: 'backup' },
    )
  const full = headerLine.safeParse(parsed)
  if (!full.success) throw broken('its first line is not that of a backup')
  return full.data
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw broken('a line of it is no JSON')
  }
}

function fromJson(value: unknown, type: ColumnKind, table: string): Value {
  if (value === null) return null
  switch (type) {
    case 'integer':
      if (typeof value === 'number' && Number.isSafeInteger(value)) return value
      break
    case 'text':
      if (typeof value === 'string') return value
      break
    case 'bytes':
      if (typeof value === 'string') return Buffer.from(value, 'base64')
      break
  }
  throw broken(`a value of ${table} is of the wrong type`)
}

function isSame(one: Readonly<Record<string, number>>, other: Readonly<Record<string, number>>): boolean {
  const names = Object.keys(one)
  return (
    names.length === Object.keys(other).length &&
    names.every(each => Object.hasOwn(other, each) && one[each] === other[each])
  )
}
