import type { Header } from 'tar-stream'
import { asByteString, type ByteString, encodeText, show } from '../byte-string.ts'
import type { Attributes, LayerEntry, Xattr } from '../entry.ts'
import { parseEntryPath } from '../entry-path.ts'
import { invalidLayer, unsupportedLayer } from '../layer-errors.ts'
import type { LayerLimits } from '../limits.ts'

/** The largest ID: one more is -1, which tells chown(2) to leave the owner alone. */
const maxId = 0xff_ff_ff_fe
/** The last second that 64 bits of nanoseconds reach (in 2262), as containerd and Docker have it. */
const maxTime = 9_223_372_036
const xattrPrefix = 'SCHILY.xattr.'

/**
 * What tar-stream has read, as an entry. tar-stream must decode names as latin1, and only streams that passed
 * {@link TarGuard} may come here.
 * @throws DomainError `invalid`, naming the entry; `unsupported` for names that tar-stream has not kept.
 */
export function toLayerEntry(
  header: Header,
  body: AsyncIterable<Uint8Array>,
  limits: LayerLimits,
): LayerEntry {
  const pax = paxOf(header)
  const name = textOf(header.name, pax['path'])
  const path = parseEntryPath(name, limits)
  switch (header.type) {
    case 'file':
    case 'contiguous-file':
      if (!name.endsWith('/'))
        return { type: 'file', path, ...attributesOf(header, pax, name), size: header.size, body }
      // How tar wrote a directory before there was a type for it.
      if (header.size === 0) return { type: 'directory', path, ...attributesOf(header, pax, name) }
      throw invalidLayer(`the directory ${show(name)} has content`)
    case 'directory':
      return { type: 'directory', path, ...attributesOf(header, pax, name) }
    case 'symlink':
      return {
        type: 'symlink',
        path,
        ...attributesOf(header, pax, name),
        target: symlinkTargetOf(header, pax, name),
      }
    case 'link':
      return {
        type: 'hardlink',
        path,
        target: parseEntryPath(textOf(linknameOf(header), pax['linkpath']), limits),
      }
    case 'character-device':
    case 'block-device':
      return { type: 'device', path, ...attributesOf(header, pax, name) }
    case 'fifo':
      return { type: 'fifo', path, ...attributesOf(header, pax, name) }
    default:
      throw unsupportedLayer(`${show(name)} is of an unknown type`)
  }
}

type Pax = Readonly<Record<string, string | undefined>>

/** tar-stream makes it a plain object of strings, and says nothing about it in its types. */
function paxOf({ pax }: Header): Pax {
  return (pax ?? {}) as Pax
}

/** Null when there is none, whatever its type says. */
function linknameOf(header: Header): string {
  const linkname: string | null = header.linkname
  return linkname ?? ''
}

/** PAX values are UTF-8; tar-stream has replaced what is not, so that two names could become one. */
function textOf(text: string, fromPax: string | undefined): ByteString {
  if (fromPax === undefined || fromPax === '') return asByteString(text)
  if (fromPax.includes('\u{fffd}'))
    throw unsupportedLayer(`the name ${show(encodeText(fromPax))} is not UTF-8 in its PAX header`)
  return encodeText(fromPax)
}

function symlinkTargetOf(header: Header, pax: Pax, name: ByteString): ByteString {
  const target = textOf(linknameOf(header), pax['linkpath'])
  if (target === '') throw invalidLayer(`the symlink ${show(name)} has no target`)
  return target
}

function attributesOf(header: Header, pax: Pax, name: ByteString): Attributes & { xattrs: readonly Xattr[] } {
  return {
    mode: header.mode & 0o7777,
    uid: idOf(header.uid, pax['uid'], name),
    gid: idOf(header.gid, pax['gid'], name),
    mtime: timeOf(header.mtime, pax['mtime'], name),
    xattrs: Object.keys(pax)
      .filter(key => key.startsWith(xattrPrefix))
      .map(key => ({
        name: encodeText(key.slice(xattrPrefix.length)),
        value: Buffer.from(pax[key] ?? ''),
      })),
  }
}

function idOf(fromHeader: number, fromPax: string | undefined, name: ByteString): number {
  const isText = fromPax !== undefined && fromPax !== ''
  const id = isText ? Number(fromPax) : fromHeader
  if ((isText && !/^\d+$/.test(fromPax)) || !Number.isInteger(id) || id < 0 || id > maxId)
    throw invalidLayer(`the owner or group of ${show(name)} is not a number from 0 to ${maxId}`)
  return id
}

function timeOf(fromHeader: Date, fromPax: string | undefined, name: ByteString): number {
  const isText = fromPax !== undefined && fromPax !== ''
  if (isText && !/^-?\d+(\.\d*)?$/.test(fromPax))
    throw invalidLayer(`the time of ${show(name)} is not a number of seconds`)
  const seconds = isText ? Number(fromPax) : fromHeader.getTime() / 1000
  // Clamped as containerd and Docker do. tar-stream's Date is NaN when it is far out of range.
  return seconds >= 0 && seconds <= maxTime ? seconds : 0
}
