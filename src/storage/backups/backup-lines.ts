import * as z from 'zod'
import type { Digest } from '../digest.ts'
import type { Row, TableShape } from '../metadata/backup/snapshot.ts'

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

export const headerLine = z.strictObject({
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
export type BackupHeader = z.output<typeof headerLine>

export const lastLine = z.strictObject({
  end: z.literal(true),
  rows: z.record(name, z.int().nonnegative()),
  digest: z.string().max(200),
})
export const tableLine = z.strictObject({ table: name })

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

/** Of the newest event, when these rows tell it. */
export function eventPositionOf(
  { name: table, columns }: TableShape,
  rows: readonly Row[],
): number | undefined {
  if (table !== 'event_sequence') return undefined
  const value = rows[0]?.[columns.findIndex(column => column.name === 'newest')]
  return typeof value === 'number' ? value : undefined
}
