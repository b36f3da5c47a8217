import * as z from 'zod'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { createDigester, type Digest, type Digester, parseDigest } from '../digest.ts'
import type {
  ColumnKind,
  MetadataSnapshot,
  Row,
  SnapshotShape,
  TableRows,
  TableShape,
  Value,
} from '../metadata/backup/snapshot.ts'
import { rowsAtOnceOf } from '../metadata/backup/snapshot.ts'
import type { BackupId } from '../objects/keys.ts'

/**
 * A database as lines of JSON, the same for every engine:
 *
 *     {"varve":"backup","format":1,"id":…,"madeAt":…,"version":…,"instance":…,"shape":{…}}
 *     {"table":"repositories"}
 *     ["acme/app",1893456000000,null,null]        a row, in the order of the shape's columns; bytes in base64
 *     …
 *     {"end":true,"rows":{"repositories":1,…},"digest":"sha256:…"}
 *
 * The tables come in the order of the shape, those without rows, too. The digest is that of all lines before the last.
 */
export const backupFormat = 1

/** Characters. The longest is the row of a manifest: 4 MiB in base64. */
export const maxLineLength = 16 * 1024 * 1024

const name = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[a-z_]+$/)

const header = z.strictObject({
  varve: z.literal('backup'),
  format: z.int(),
  id: z.string().max(64),
  madeAt: z.iso.datetime(),
  version: z.string().max(64),
  instance: z.string().max(64),
  shape: z.strictObject({
    engine: z.enum(['sqlite', 'postgres']),
    migrations: z.array(z.string().max(100)).max(1000),
    tables: z
      .array(
        z.strictObject({
          name,
          columns: z
            .array(z.strictObject({ name, type: z.enum(['text', 'integer', 'bytes']) }))
            .min(1)
            .max(100),
        }),
      )
      .max(200),
  }),
})
export type BackupHeader = z.output<typeof header>

const trailer = z.strictObject({
  end: z.literal(true),
  rows: z.record(name, z.int().nonnegative()),
  digest: z.string().max(200),
})
const tableLine = z.strictObject({ table: name })

/** What is known of a backup once it has been written or read to its end. */
export interface BackupSummary {
  readonly header: BackupHeader
  /** By table. */
  readonly rows: Readonly<Record<string, number>>
  readonly digest: Digest
  /** Characters of all lines, in bytes. */
  readonly textBytes: number
  /** Of the newest event. */
  readonly eventPosition: number
}

/** What a backup says of itself. */
export interface BackupOrigin {
  readonly id: BackupId
  readonly madeAt: Date
  readonly version: string
  readonly instance: string
}

/** Pieces of text are about so long. */
const pieceLength = 128 * 1024

/** The text of a snapshot, piece by piece. `onEnd` is told when all of it has been given. */
export async function* writeBackupText(
  snapshot: MetadataSnapshot,
  { id, madeAt, version, instance }: BackupOrigin,
  onEnd: (summary: BackupSummary) => void,
  options?: Abortable,
): AsyncGenerator<Buffer> {
  const head: BackupHeader = {
    varve: 'backup',
    format: backupFormat,
    id,
    madeAt: madeAt.toISOString(),
    version,
    instance,
    shape: mutable(snapshot.shape),
  }
  const digester = createDigester('sha256')
  const rowsOf: Record<string, number> = {}
  let eventPosition = 0
  let textBytes = 0
  let lines = `${JSON.stringify(head)}\n`
  const piece = (): Buffer => {
    const bytes = Buffer.from(lines)
    lines = ''
    digester.update(bytes)
    textBytes += bytes.length
    return bytes
  }
  for (const table of snapshot.shape.tables) {
    lines += `${JSON.stringify({ table: table.name })}\n`
    let count = 0
    for await (const rows of snapshot.rows(table, options)) {
      for (const row of rows) {
        lines += `${JSON.stringify(row.map(toJson))}\n`
        if (lines.length >= pieceLength) yield piece()
      }
      count += rows.length
      eventPosition = eventPositionOf(table, rows) ?? eventPosition
    }
    rowsOf[table.name] = count
  }
  if (lines !== '') yield piece()
  const digest = digester.digest()
  const last = Buffer.from(`${JSON.stringify({ end: true, rows: rowsOf, digest })}\n`)
  textBytes += last.length
  yield last
  onEnd({ header: head, rows: rowsOf, digest, textBytes, eventPosition })
}

/**
 * Reads what {@link writeBackupText} has written, one line after the other, and believes nothing of it before the end:
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
    const last = trailer.safeParse(parsed)
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

function parseHeader(parsed: unknown): BackupHeader {
  const version = z.looseObject({ varve: z.literal('backup'), format: z.int() }).safeParse(parsed)
  if (!version.success) throw broken('it does not begin as a backup does')
  if (version.data.format !== backupFormat)
    throw new DomainError(
      'unsupported',
      `The backup is of format ${version.data.format}, which this version does not know; restore it with the Varve that made it, or a newer one.`,
      { resource: 'backup' },
    )
  const full = header.safeParse(parsed)
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

function toJson(value: Value): string | number | null {
  return value instanceof Uint8Array
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
    : value
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

function eventPositionOf({ name: table, columns }: TableShape, rows: readonly Row[]): number | undefined {
  if (table !== 'event_sequence') return undefined
  const value = rows[0]?.[columns.findIndex(column => column.name === 'newest')]
  return typeof value === 'number' ? value : undefined
}

function isSame(one: Readonly<Record<string, number>>, other: Readonly<Record<string, number>>): boolean {
  const names = Object.keys(one)
  return (
    names.length === Object.keys(other).length &&
    names.every(each => Object.hasOwn(other, each) && one[each] === other[each])
  )
}

/** Zod's types have arrays that may be written to. */
function mutable({ engine, migrations, tables }: SnapshotShape): BackupHeader['shape'] {
  return {
    engine,
    migrations: [...migrations],
    tables: tables.map(table => ({
      name: table.name,
      columns: table.columns.map(column => ({ ...column })),
    })),
  }
}

export function broken(why: string, cause?: unknown): DomainError {
  return new DomainError(
    'invalid',
    `The backup cannot be used: ${why}; choose another one.`,
    { resource: 'backup' },
    { cause },
  )
}
