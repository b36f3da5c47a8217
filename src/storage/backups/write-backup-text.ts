import type { Abortable } from '../abortable.ts'
import { createDigester } from '../digest.ts'
import type { MetadataSnapshot, SnapshotShape, Value } from '../metadata/backup/snapshot.ts'
import type { BackupId } from '../objects/keys.ts'
import { backupFormat, type BackupHeader, type BackupSummary, eventPositionOf } from './backup-lines.ts'

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

function toJson(value: Value): string | number | null {
  return value instanceof Uint8Array
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
    : value
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
