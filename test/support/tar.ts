import { gzipSync } from 'node:zlib'

/**
 * Builds tar streams that read like what they hold, the broken ones included:
 *
 *     tar(dir('etc'), file('etc/motd', 'hello', { mode: 0o600 }), symlink('l', '/etc'), whiteout('etc/old'))
 *
 * Everything is bytes, so parts can be mixed with {@link patched} headers and raw blocks at will.
 */
export interface TarOptions {
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  /** Seconds since 1970. A fraction or a negative one goes into a PAX header. */
  readonly mtime?: number
  /** More PAX records; values may be bytes. */
  readonly pax?: Readonly<Record<string, string | Uint8Array>>
}

type Name = string | Uint8Array

/** With the end-of-archive. */
export function tar(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([...parts, endOfArchive])
}

export const endOfArchive: Buffer = Buffer.alloc(1024)
export const zeroBlock: Buffer = Buffer.alloc(512)

export function file(name: Name, content: Name = '', options: TarOptions = {}): Buffer {
  const body = Buffer.from(content)
  return Buffer.concat([header('0', name, { mode: 0o644, ...options, size: body.length }), padded(body)])
}

export function dir(name: Name, options: TarOptions = {}): Buffer {
  return header('5', name, { mode: 0o755, ...options })
}

export function symlink(name: Name, target: Name, options: TarOptions = {}): Buffer {
  return header('2', name, { mode: 0o777, ...options, target })
}

export function hardlink(name: Name, target: Name, options: TarOptions = {}): Buffer {
  return header('1', name, { mode: 0o644, ...options, target })
}

export function characterDevice(name: Name, options: TarOptions = {}): Buffer {
  return header('3', name, options)
}

export function blockDevice(name: Name, options: TarOptions = {}): Buffer {
  return header('4', name, options)
}

export function fifo(name: Name, options: TarOptions = {}): Buffer {
  return header('6', name, options)
}

/** Hides `path` of the layers below. */
export function whiteout(path: string): Buffer {
  const slash = path.lastIndexOf('/') + 1
  return file(`${path.slice(0, slash)}.wh.${path.slice(slash)}`)
}

/** Hides all that the layers below have in `directory`; '' is the root. */
export function opaque(directory: string): Buffer {
  return file(directory === '' ? '.wh..wh..opq' : `${directory}/.wh..wh..opq`)
}

/** A PAX header (`x`) for the entry after it; `g` makes a global one. */
export function pax(records: Readonly<Record<string, string | Uint8Array>>, type: 'x' | 'g' = 'x'): Buffer {
  return paxBytes(Buffer.concat(Object.entries(records).map(([key, value]) => record(key, value))), type)
}

/** A PAX header with any bytes as its records. */
export function paxBytes(body: Uint8Array, type: 'x' | 'g' = 'x'): Buffer {
  return Buffer.concat([plainHeader(type, 'PaxHeader', { size: body.length }), padded(body)])
}

/** GNU's long name (`L`) or long link target (`K`) for the entry after it. */
export function gnuLong(type: 'L' | 'K', text: Name): Buffer {
  const body = Buffer.concat([Buffer.from(text), Buffer.alloc(1)])
  return Buffer.concat([plainHeader(type, '././@LongLink', { size: body.length }), padded(body)])
}

/** Any header, with no content after it. */
export function plainHeader(
  type: string,
  name: Name,
  options: TarOptions & { readonly size?: number; readonly target?: Name } = {},
): Buffer {
  const block = Buffer.alloc(512)
  block.set(Buffer.from(name).subarray(0, 100), 0)
  block.write(octal(options.mode ?? 0, 7), 100)
  block.write(octal(options.uid ?? 0, 7), 108)
  block.write(octal(options.gid ?? 0, 7), 116)
  block.write(octal(options.size ?? 0, 11), 124)
  block.write(octal(options.mtime ?? 0, 11), 136)
  block.write(type, 156, 'latin1')
  if (options.target !== undefined) block.set(Buffer.from(options.target).subarray(0, 100), 157)
  block.write('ustar\x0000', 257, 'latin1')
  return sealed(block)
}

/** The same entry with other bytes somewhere in its first header, and the checksum that fits. */
export function patched(entry: Uint8Array, offset: number, bytes: Name): Buffer {
  const copy = Buffer.from(entry)
  copy.set(Buffer.from(bytes), offset)
  return Buffer.concat([sealed(copy.subarray(0, 512)), copy.subarray(512)])
}

/** The same entry in GNU's format. */
export function gnu(entry: Uint8Array): Buffer {
  return patched(entry, 257, 'ustar  \0')
}

/** The same entry in the format of the first tar, which has no name. */
export function v7(entry: Uint8Array): Buffer {
  return patched(entry, 257, Buffer.alloc(8))
}

/** GNU's binary numbers: two's complement, behind a first bit that marks them. */
export function base256(value: number | bigint, length: number): Buffer {
  const bits = BigInt.asUintN(length * 8, BigInt(value)) | (1n << BigInt(length * 8 - 1))
  return Buffer.from(bits.toString(16).padStart(length * 2, '0'), 'hex')
}

export type Segments = readonly (readonly [offset: number | bigint, length: number])[]

/** A sparse file in GNU's old form: type `S`, with as many extension blocks as its map needs. */
export function oldSparse(
  name: Name,
  size: number,
  segments: Segments,
  content: Name,
  options: TarOptions = {},
): Buffer {
  const body = Buffer.from(content)
  const own = gnu(plainHeader('S', name, { ...options, size: body.length }))
  const isExtended = segments.length > 4
  const start = patched(own, 386, Buffer.concat([sparseFields(segments.slice(0, 4), 4), flag(isExtended)]))
  const extensions: Buffer[] = []
  for (let done = 4; done < segments.length; done += 21)
    extensions.push(
      Buffer.concat([
        sparseFields(segments.slice(done, done + 21), 21),
        flag(done + 21 < segments.length),
        Buffer.alloc(7),
      ]),
    )
  return Buffer.concat([patched(start, 483, numberField(size)), ...extensions, padded(body)])
}

/** The map of a sparse file as PAX format 1.0 has it in front of the content, in whole blocks. */
export function sparseText(segments: Segments): Buffer {
  const numbers = [segments.length, ...segments.flat()]
  return padded(Buffer.from(numbers.map(number => `${number}\n`).join('')))
}

function sparseFields(segments: Segments, entries: number): Buffer {
  const fields = segments.flatMap(([offset, length]) => [numberField(offset), numberField(length)])
  return Buffer.concat([...fields, Buffer.alloc((entries - segments.length) * 24)])
}

function numberField(value: number | bigint): Buffer {
  return value < 8 ** 11 ? Buffer.from(`${value.toString(8).padStart(11, '0')}\0`) : base256(value, 12)
}

function flag(isSet: boolean): Buffer {
  return Buffer.from([isSet ? 1 : 0])
}

export function gzipOf(...members: readonly Uint8Array[]): Buffer {
  return Buffer.concat(members.map(member => gzipSync(member)))
}

function header(
  type: string,
  name: Name,
  options: TarOptions & { readonly size?: number; readonly target?: Name },
): Buffer {
  const { mtime = 0, uid = 0, gid = 0, target } = options
  const records: Record<string, string | Uint8Array> = {}
  if (Buffer.from(name).length > 100) records['path'] = name
  if (target !== undefined && Buffer.from(target).length > 100) records['linkpath'] = target
  if (uid > maxOctalId) records['uid'] = String(uid)
  if (gid > maxOctalId) records['gid'] = String(gid)
  if (!Number.isInteger(mtime) || mtime < 0) records['mtime'] = String(mtime)
  Object.assign(records, options.pax)
  const own = plainHeader(type, name, {
    ...options,
    uid: Math.min(uid, maxOctalId),
    gid: Math.min(gid, maxOctalId),
    mtime: Math.max(0, Math.floor(mtime)),
  })
  return Object.keys(records).length === 0 ? own : Buffer.concat([pax(records), own])
}

const maxOctalId = 0o7777777

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0')
}

function sealed(block: Buffer): Buffer {
  block.fill(' ', 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${octal(sum, 6)}\0 `, 148)
  return block
}

function padded(body: Uint8Array): Buffer {
  return Buffer.concat([body, Buffer.alloc((512 - (body.length % 512)) % 512)])
}

/** `length key=value\n`, where the length counts its own digits. */
export function record(key: string, value: string | Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')])
  let length = rest.length
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length
  return Buffer.concat([Buffer.from(String(length)), rest])
}
