import { type ByteString, show } from '../byte-string.ts'
import type { DirectoryEntry, FileEntry, LayerEntry } from '../entry.ts'
import { parseEntryPath } from '../entry-path.ts'
import { invalidLayer, layerTooLarge, unsupportedLayer } from '../layer-errors.ts'
import type { LayerLimits } from '../limits.ts'
import { decimalOf, noPaxHeader, paxText } from './pax.ts'
import { paxSparseName } from './sparse-formats.ts'
import { attributesOf, xattrsOf } from './tar-attributes.ts'
import type { TarHeader } from './tar-header.ts'
import type { Metadata } from './tar-metadata.ts'

/** An entry without its content, which is read later. */
export type EntryFacts = Exclude<LayerEntry, FileEntry> | Omit<FileEntry, 'body'>

export type FileContent = Pick<FileEntry, 'size' | 'segments'>

/**
 * An entry as Go's archive/tar and the engines on it read it. Of PAX records, `path`, `linkpath`, `uid`, `gid`, `mtime`
 * and `SCHILY.xattr.*` are applied here, and the rest means nothing to layers; `LIBARCHIVE.xattr.*` says the same again.
 * @param sparse of a sparse file: what its map says; the size in its header is another.
 * @throws DomainError `invalid`, `unsupported`, `too_large`, naming the entry.
 */
export function entryOf(
  header: TarHeader,
  metadata: Metadata,
  limits: LayerLimits,
  sparse?: FileContent,
): EntryFacts {
  const pax = metadata.pax ?? noPaxHeader
  const name = entryName(header, metadata)
  const located = { path: parseEntryPath(name, limits), ...attributesOf(header, pax, name) }
  switch (header.type) {
    case '0':
    case '7':
    case 'S': {
      const content = sparse ?? { size: storedSize(header, metadata) }
      return fileOf({ ...located, xattrs: xattrsOf(pax, name, limits) }, name, content, limits)
    }
    case '5':
      return { type: 'directory', ...located, xattrs: xattrsOf(pax, name, limits) }
    case '2': {
      const target = symlinkTarget(header, metadata, name, limits)
      return { type: 'symlink', ...located, target, xattrs: xattrsOf(pax, name, limits) }
    }
    case '1': {
      const target = parseEntryPath(linkTarget(header, metadata, name), limits)
      return { type: 'hardlink', path: located.path, target }
    }
    case '3':
    case '4':
      return { type: 'device', ...located }
    case '6':
      return { type: 'fifo', ...located }
    default:
      throw unsupportedLayer(`${show(name)} is of the unknown type ${JSON.stringify(header.type)}`)
  }
}

/** Of all names that an entry is given, the one that counts. */
export function entryName(header: TarHeader, { pax, longName }: Metadata): ByteString {
  if (pax === undefined) return longName ?? header.name
  return paxSparseName(pax) ?? paxText(pax, 'path') ?? longName ?? header.name
}

/** Bytes of content in the stream. */
export function storedSize(header: TarHeader, metadata: Metadata): number {
  const text = metadata.pax && paxText(metadata.pax, 'size')
  if (text === undefined) return header.size
  const size = decimalOf(text)
  if (size === undefined)
    throw invalidLayer(`a PAX header gives ${show(entryName(header, metadata))} the size ${show(text)}`)
  return size
}

function fileOf(
  described: Omit<DirectoryEntry, 'type'>,
  name: ByteString,
  content: FileContent,
  { maxBytes }: LayerLimits,
): EntryFacts {
  if (name.endsWith('/')) {
    // How tar wrote a directory before there was a type for it.
    if (content.size === 0 && content.segments === undefined) return { type: 'directory', ...described }
    throw invalidLayer(`the directory ${show(name)} has content`)
  }
  if (content.size > maxBytes)
    throw layerTooLarge(`${show(name)} has ${content.size} bytes; a layer may have ${maxBytes}`)
  return { type: 'file', ...described, ...content }
}

function linkTarget(header: TarHeader, { pax, longLinkname }: Metadata, name: ByteString): ByteString {
  const target = (pax && paxText(pax, 'linkpath')) ?? longLinkname ?? header.linkname
  if (target === '') throw invalidLayer(`the link ${show(name)} has no target`)
  return target
}

function symlinkTarget(
  header: TarHeader,
  metadata: Metadata,
  name: ByteString,
  { maxPathBytes }: LayerLimits,
): ByteString {
  const target = linkTarget(header, metadata, name)
  if (target.length > maxPathBytes)
    throw invalidLayer(`the target of the symlink ${show(name)} is longer than ${maxPathBytes} bytes`)
  return target
}
