import { asByteString, type ByteString, show } from '../byte-string.ts'
import type { Attributes, Xattr } from '../entry.ts'
import { invalidLayer, layerTooLarge } from '../layer-errors.ts'
import type { LayerLimits } from '../limits.ts'
import { decimalOf, type PaxHeader, paxText } from './pax.ts'
import type { TarHeader } from './tar-header.ts'

/** The largest ID: one more is -1, which tells chown(2) to leave the owner alone. */
const maxId = 0xff_ff_ff_fe
/** The last second that 64 bits of nanoseconds reach (in 2262), as containerd and Docker have it. */
const maxTime = 9_223_372_036
/** No file has as many; each is a system call. */
const maxXattrs = 256
const xattrPrefix = 'SCHILY.xattr.'
const noXattrs: readonly Xattr[] = Object.freeze([])

/** Owner, mode and time, of which a PAX header may have some. @throws DomainError `invalid`, naming the entry. */
export function attributesOf(header: TarHeader, pax: PaxHeader, name: ByteString): Attributes {
  const uid = idOf(header.uid, pax, 'uid', name)
  const gid = idOf(header.gid, pax, 'gid', name)
  const time = timeOf(header.mtime, pax, name)
  const mtime = Math.min(Math.max(time, 0), maxTime)
  const attributes = { mode: header.mode & 0o7777, uid, gid, mtime }
  return mtime === time ? attributes : { ...attributes, clampedTime: true }
}

function idOf(fromHeader: number, pax: PaxHeader, key: 'uid' | 'gid', name: ByteString): number {
  const text = paxText(pax, key)
  const id = text === undefined ? fromHeader : decimalOf(text)
  if (id === undefined || id < 0 || id > maxId)
    throw invalidLayer(`the ${key} of ${show(name)} is not a number from 0 to ${maxId}`)
  return id
}

function timeOf(fromHeader: number, pax: PaxHeader, name: ByteString): number {
  // Not used, but a reader that fails on them sees no entry at all.
  for (const key of ['atime', 'ctime'] as const) if (paxText(pax, key) !== '') paxTime(pax, key, name)
  return paxTime(pax, 'mtime', name) ?? fromHeader
}

function paxTime(pax: PaxHeader, key: 'atime' | 'ctime' | 'mtime', name: ByteString): number | undefined {
  const text = paxText(pax, key)
  if (text === undefined) return undefined
  const [, seconds] = /^(-?\d{1,40})(?:\.\d*)?$/.exec(text) ?? []
  if (seconds === undefined || !isInt64(seconds))
    throw invalidLayer(`the ${key} of ${show(name)} is not a number of seconds`)
  return Number(text)
}

function isInt64(decimal: string): boolean {
  return decimal.length < 19 || BigInt.asIntN(64, BigInt(decimal)) === BigInt(decimal)
}

/** @throws DomainError `invalid`, `too_large`, naming the entry. */
export function xattrsOf(
  { records }: PaxHeader,
  name: ByteString,
  { maxXattrBytes }: LayerLimits,
): readonly Xattr[] {
  if (records.size === 0) return noXattrs
  const xattrs: Xattr[] = []
  let bytes = 0
  for (const [key, value] of records) {
    if (!key.startsWith(xattrPrefix)) continue
    const xattr = asByteString(key.slice(xattrPrefix.length))
    if (xattr === '') throw invalidLayer(`${show(name)} has an extended attribute without a name`)
    bytes += xattr.length + value.length
    if (bytes > maxXattrBytes || xattrs.length === maxXattrs)
      throw layerTooLarge(
        `${show(name)} has more than ${maxXattrs} extended attributes, or more than ${maxXattrBytes} bytes of them`,
      )
    xattrs.push({ name: xattr, value: ownCopy(value) })
  }
  return xattrs
}

/** A view would keep the whole piece of the stream that it is in, and a small Buffer.from() all of Node's pool. */
function ownCopy(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}
