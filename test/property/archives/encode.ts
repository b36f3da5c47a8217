import {
  endOfArchive,
  file,
  gnuLong,
  patched,
  pax,
  paxBytes,
  plainHeader,
  zeroBlock,
} from '../../support/tar.ts'
import {
  type Ending,
  type Entry,
  type EntryKind,
  isEntry,
  type Layer,
  type Part,
  type Style,
} from './archive.ts'
import { base256, latin1, octal, paxRecord } from './encode-fields.ts'
import { sparseFile } from './encode-sparse.ts'

/** A layer as a tar stream. */
export function encodeLayer({ parts, ending }: Layer): Buffer {
  return end(Buffer.concat(parts.map(encodedPart)), ending)
}

/** The parts of an archive are written again and again while a difference is looked for. */
const encoded = new WeakMap<Part, Buffer>()

function encodedPart(part: Part): Buffer {
  const known = encoded.get(part) ?? encodePart(part)
  encoded.set(part, known)
  return known
}

function end(body: Buffer, ending: Ending): Buffer {
  switch (ending.kind) {
    case 'blocks':
      return Buffer.concat([body, Buffer.alloc(ending.count * 512)])
    case 'junk':
      return Buffer.concat([body, endOfArchive, Buffer.alloc(ending.bytes, 0x5a)])
    case 'entries-after':
      return Buffer.concat([body, endOfArchive, file('a', 'after the end'), endOfArchive])
    case 'dangling-header':
      return Buffer.concat([body, pax({ comment: 'of nothing' }), endOfArchive])
    case 'cut':
      return body.subarray(0, Math.max(0, body.length - ending.bytes))
  }
}

function encodePart(part: Part): Buffer {
  if (isEntry(part)) return encodeEntry(part)
  switch (part.kind) {
    case 'global-header':
      return pax(part.records, 'g')
    case 'zero-block':
      return zeroBlock
    case 'unknown-type':
      return plainHeader(part.type, 'odd', { mode: 0o644 })
    case 'body-of-nothing':
      return Buffer.concat([
        plainHeader(part.type, 'odd', { mode: 0o755, size: 512, target: 'a' }),
        file('a', 'smuggled'),
      ])
  }
}

const typeFlags: Readonly<Record<EntryKind, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
}
const typeBits: Readonly<Record<EntryKind, number>> = {
  file: 0o100000,
  hardlink: 0o100000,
  symlink: 0o120000,
  character: 0o020000,
  block: 0o060000,
  directory: 0o040000,
  fifo: 0o010000,
}

export function encodeEntry(entry: Entry): Buffer {
  if (entry.kind !== 'file') return encodeWith(entry, Buffer.alloc(0), { type: typeFlags[entry.kind] })
  const body = Buffer.from(entry.content, 'latin1')
  switch (entry.style.file) {
    case 'ordinary':
      return encodeWith(entry, body, { type: '0' })
    case 'old':
      return encodeWith(entry, body, { type: '\0' })
    case 'contiguous':
      return encodeWith(entry, body, { type: '7' })
    case 'sparse-gnu':
    case 'sparse-0.0':
    case 'sparse-0.1':
    case 'sparse-1.0':
      return sparseFile(entry, body, entry.style.file, encodeWith)
  }
}

export interface Wrapping {
  readonly type: string
  /** Further PAX records, which may have the same key. */
  readonly records?: readonly (readonly [key: string, value: string])[]
  /** Changes of the entry's own header. */
  readonly patches?: readonly (readonly [offset: number, bytes: Buffer])[]
}

/** The entry's headers and its stored bytes. */
export function encodeWith(
  entry: Entry,
  stored: Buffer,
  { type, records = [], patches = [] }: Wrapping,
): Buffer {
  const before: Buffer[] = []
  const allRecords: (readonly [string, string])[] = []
  const allPatches: (readonly [number, Buffer])[] = [...formatOf(entry.style)]
  let { name, target } = entry
  if (name.length > 100) {
    const prefixLength = prefixOf(name, entry.style)
    if (prefixLength > 0) {
      allPatches.push([345, latin1(name.slice(0, prefixLength))])
      name = name.slice(prefixLength + 1)
    } else if (entry.style.longNames === 'gnu') before.push(gnuLong('L', latin1(name)))
    else allRecords.push(['path', name])
  }
  if (target.length > 100) {
    if (entry.style.longNames === 'gnu') before.push(gnuLong('K', latin1(target)))
    else allRecords.push(['linkpath', target])
  }
  for (const [key, offset, length] of numberFields) {
    const value = entry[key]
    const fits = Number.isInteger(value) && value >= 0 && value < 8 ** (length - 1)
    const way = fits
      ? entry.style.numbers
      : Number.isInteger(value) && entry.style.numbers === 'base-256'
        ? 'base-256'
        : 'pax'
    if (way === 'pax') allRecords.push([key, String(value)])
    else allPatches.push([offset, way === 'octal' ? octal(value, length) : base256(value, length)])
  }
  if (entry.kind === 'character' || entry.kind === 'block')
    allPatches.push([329, octal(1, 8)], [337, octal(entry.mode & 7, 8)])
  if (entry.style.vendorRecords) allRecords.push(['VENDOR.note', 'x=y'], ['comment', 'none'])
  allRecords.push(...records)
  allPatches.push(...patches)
  if (allRecords.length > 0) before.push(paxBytes(Buffer.concat(allRecords.map(paxRecord))))
  const header = plainHeader(type, latin1(name), {
    mode: entry.mode | (entry.style.typeBits ? typeBits[entry.kind] : 0),
    size: stored.length,
    target: latin1(target),
  })
  for (const [offset, bytes] of allPatches) header.set(bytes, offset)
  return Buffer.concat([
    ...before,
    patched(header, 0, ''),
    stored,
    Buffer.alloc((512 - (stored.length % 512)) % 512),
  ])
}

const numberFields = [
  ['uid', 108, 8],
  ['gid', 116, 8],
  ['mtime', 136, 12],
] as const

/** How much of a name goes into the header's prefix; 0 when it does not fit or may not. */
function prefixOf(name: string, { format, longNames }: Style): number {
  if (longNames !== 'prefix' || format === 'gnu' || format === 'v7') return 0
  const longest = format === 'star' ? 131 : 155
  const slash = name.lastIndexOf('/', longest)
  return slash > 0 && name.length - slash - 1 <= 100 && name.length - slash - 1 > 0 ? slash : 0
}

function* formatOf({ format }: Style): Generator<[number, Buffer]> {
  if (format === 'gnu') yield [257, latin1('ustar  \0')]
  if (format === 'v7') yield [257, Buffer.alloc(8)]
  if (format === 'star') yield [476, latin1('00000000000 00000000000 ')]
  if (format === 'star') yield [508, latin1('tar\0')]
}
