import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib'
import { DomainError, errnoOf } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { TableRows } from '../metadata/backup/snapshot.ts'
import { type BackupSummary, maxLineLength } from './backup-lines.ts'
import { BackupTextReader } from './backup-text-reader.ts'
import { broken } from './broken-backup.ts'
import { RowBatcher } from './row-batcher.ts'
import { isSealed, magicBytes, seal, unseal } from './encryption.ts'

/** Zstandard's own default; a higher one costs much time for little. */
const compressionLevel = 3

/** Text of a database is about a fifth when it is compressed; a thousandth is somebody's attempt to fill our disk. */
const maxRatio = 1000
const alwaysAllowedBytes = 16 * 1024 * 1024

/** Compresses, and encrypts when there is a secret. `write` gets the bytes, and is awaited. */
export async function packBackup(
  text: AsyncIterable<Uint8Array>,
  secret: Uint8Array | undefined,
  write: (bytes: AsyncIterable<Uint8Array>) => Promise<void>,
  { signal }: Abortable = {},
): Promise<void> {
  await pipeline(
    Readable.from(text, { objectMode: false, signal }),
    createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: compressionLevel } }),
    async (packed: AsyncIterable<Buffer>) =>
      await write(secret === undefined ? packed : seal(packed, secret)),
    { signal },
  )
}

export interface ReadBackupOptions extends Abortable {
  readonly secret: Uint8Array | undefined
  /** Whether a backup that is not encrypted is refused. */
  readonly mustBeSealed?: boolean | undefined
}

/**
 * Reads a backup to its end. `use` gets the rows, which count only when this resolves.
 *
 * @throws DomainError `invalid` for what is none, or was changed or cut off; `unsupported` for one of a newer format; what the
 * stream fails with.
 */
export async function readBackup(
  stream: Readable,
  { secret, mustBeSealed = false, signal }: ReadBackupOptions,
  use: (rows: TableRows) => Promise<void>,
): Promise<BackupSummary> {
  const reader = new BackupTextReader()
  const counted = { packed: 0, text: 0 }
  try {
    await pipeline(
      stream,
      source => opened(counting(source, counted), secret, mustBeSealed),
      createZstdDecompress(),
      async (text: AsyncIterable<Buffer>) => {
        const batcher = new RowBatcher()
        for await (const line of linesOf(limited(text, counted))) {
          const found = reader.line(line)
          if (found === undefined) continue
          const full = batcher.add(found.table, found.row, line.length)
          if (full !== undefined) await use(full)
        }
        const rest = batcher.take()
        if (rest !== undefined) await use(rest)
      },
      { signal },
    )
  } catch (error) {
    throw fromZlib(error)
  }
  return reader.end()
}

interface Counted {
  packed: number
  text: number
}

async function* counting(bytes: AsyncIterable<Buffer>, counted: Counted): AsyncGenerator<Buffer> {
  for await (const chunk of bytes) {
    counted.packed += chunk.length
    yield chunk
  }
}

async function* limited(text: AsyncIterable<Buffer>, counted: Counted): AsyncGenerator<Buffer> {
  for await (const chunk of text) {
    counted.text += chunk.length
    if (counted.text > alwaysAllowedBytes + maxRatio * counted.packed)
      throw broken('it is far larger than any that was compressed')
    yield chunk
  }
}

/** Looks at the first bytes, and decrypts what is encrypted. */
async function* opened(
  bytes: AsyncIterable<Buffer>,
  secret: Uint8Array | undefined,
  mustBeSealed: boolean,
): AsyncGenerator<Buffer> {
  const iterator = bytes[Symbol.asyncIterator]()
  let beginning = Buffer.alloc(0)
  while (beginning.length < magicBytes) {
    const { done, value } = await iterator.next()
    if (done === true) break
    beginning = Buffer.concat([beginning, value])
  }
  const all = again(beginning, iterator)
  if (!isSealed(beginning)) {
    if (mustBeSealed) throw notSealed()
    yield* all
  } else if (secret === undefined)
    throw new DomainError(
      'invalid',
      'The backup is encrypted; name the file with its key in backup.keyFile.',
      { resource: 'config', name: 'backup.keyFile' },
    )
  else yield* unseal(all, secret)
}

async function* again(beginning: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (beginning.length > 0) yield beginning
  yield* { [Symbol.asyncIterator]: () => rest }
}

/** Lines with their ends. @throws DomainError `invalid` for one that is too long, or does not end. */
async function* linesOf(text: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = []
  let length = 0
  for await (const chunk of text) {
    let start = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const line = chunk.subarray(start, end + 1)
      if (length + line.length > maxLineLength) throw broken('a line of it is too long')
      yield pieces.length === 0 ? line : Buffer.concat([...pieces, line])
      pieces = []
      length = 0
      start = end + 1
    }
    const rest = chunk.subarray(start)
    length += rest.length
    if (length > maxLineLength) throw broken('a line of it is too long')
    if (rest.length > 0) pieces.push(rest)
  }
  if (length > 0) throw broken('its end is missing')
}

function notSealed(): DomainError {
  return new DomainError(
    'denied',
    'The backup is not encrypted, though backup.keyFile is set, so nobody knows who has written it; use --unencrypted if it is from before the key.',
    { resource: 'backup' },
  )
}

/** What Node's Zstandard says of bytes that it cannot read. */
function fromZlib(error: unknown): unknown {
  const code = errnoOf(error)
  return code !== undefined && /^(?:Z_|ZSTD_)/.test(code)
    ? broken('it was changed or cut off, or is no backup at all', error)
    : error
}
