import { Readable } from 'node:stream'
import type { LayerEntry } from '../../../../src/importer/layer/entry.ts'
import { joinPath } from '../../../../src/importer/layer/entry-path.ts'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import { readEntries, type ReadEntriesOptions } from '../../../../src/importer/layer/tar/read-entries.ts'

/** An entry as plain data: its path as one text, its content as one latin1 text. */
export interface Seen {
  readonly type: LayerEntry['type']
  readonly path: string
  readonly content?: string
  readonly [key: string]: unknown
}

/** All entries of a tar stream that comes in pieces of so many bytes. */
export async function read(
  bytes: Uint8Array,
  pieceBytes: number = bytes.length,
  options: Partial<ReadEntriesOptions> = {},
): Promise<Seen[]> {
  return await readPieces(inPieces(bytes, pieceBytes), options)
}

export async function readPieces(
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: Partial<ReadEntriesOptions> = {},
): Promise<Seen[]> {
  const seen: Seen[] = []
  for await (const entry of readEntries(Readable.from(pieces), { limits: defaultLayerLimits, ...options }))
    seen.push(await see(entry))
  return seen
}

export async function see(entry: LayerEntry): Promise<Seen> {
  const path = joinPath(entry.path)
  if (entry.type !== 'file') return { ...entry, path }
  const { body, ...rest } = entry
  const content: Uint8Array[] = []
  for await (const chunk of body) content.push(Uint8Array.from(chunk))
  return { ...rest, path, content: Buffer.concat(content).toString('latin1') }
}

export async function names(bytes: Uint8Array): Promise<string[]> {
  return (await read(bytes)).map(({ path }) => path)
}

export function* inPieces(bytes: Uint8Array, pieceBytes: number): Generator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += pieceBytes)
    yield bytes.subarray(offset, offset + pieceBytes)
}
