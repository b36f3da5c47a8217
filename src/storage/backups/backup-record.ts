import * as z from 'zod'
import { type Digest, parseDigest } from '../digest.ts'
import { type BackupId, parseBackupId } from '../objects/keys.ts'
import { broken } from './broken-backup.ts'

/** What is known of a backup without reading it. */
export interface BackupRecord {
  readonly id: BackupId
  /** When the snapshot was taken. */
  readonly madeAt: Date
  /** When its bytes had been read back. */
  readonly verifiedAt: Date
  /** Of the Varve that made it. */
  readonly version: string
  readonly engine: 'sqlite' | 'postgres'
  /** Which registry it is of. */
  readonly instance: string
  readonly isEncrypted: boolean
  /** Bytes, as they are stored. */
  readonly size: number
  /** Of the bytes, as they are stored. */
  readonly digest: Digest
  /** Rows, of all tables together. */
  readonly rows: number
  /** Of the newest event that it has. */
  readonly eventPosition: number
}

/** Bytes. */
export const maxRecordBytes = 64 * 1024

const recordText = z.looseObject({
  varve: z.literal('backup-record'),
  format: z.literal(1),
  id: z.string().max(64).transform(parseBackupId),
  madeAt: z.iso.datetime().transform(text => new Date(text)),
  verifiedAt: z.iso.datetime().transform(text => new Date(text)),
  version: z.string().max(64),
  engine: z.enum(['sqlite', 'postgres']),
  instance: z.string().max(64),
  isEncrypted: z.boolean(),
  size: z.int().nonnegative(),
  digest: z.string().max(200).transform(parseDigest),
  rows: z.int().nonnegative(),
  eventPosition: z.int().nonnegative(),
})

export function recordBytes(record: BackupRecord): Uint8Array {
  return Buffer.from(`${JSON.stringify({ varve: 'backup-record', format: 1, ...record }, null, 2)}\n`)
}

/** @throws DomainError `invalid`. */
export function parseRecord(bytes: Uint8Array): BackupRecord {
  try {
    const {
      varve: _,
      format: __,
      ...record
    } = recordText.parse(JSON.parse(Buffer.from(bytes).toString('utf8')))
    return record
  } catch (cause) {
    throw broken('its record is none of a backup, or of a newer version', cause)
  }
}
