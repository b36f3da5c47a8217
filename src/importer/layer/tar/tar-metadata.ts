import { asByteString, type ByteString } from '../byte-string.ts'
import { invalidLayer } from '../layer-errors.ts'
import { type PaxHeader, paxText } from './pax.ts'

/** What the blocks before an entry's header say about it. */
export interface Metadata {
  readonly pax?: PaxHeader | undefined
  /** GNU's long name. */
  readonly longName?: ByteString | undefined
  readonly longLinkname?: ByteString | undefined
}

export const noMetadata: Metadata = Object.freeze({})

export function hasMetadata(metadata: Metadata): boolean {
  return metadata !== noMetadata
}

/** Where one reader keeps what the entry's own header says, another takes the empty value. */
const neverEmpty = ['path', 'linkpath', 'size', 'uid', 'gid', 'mtime'] as const

/**
 * Of two headers of a kind the later one counts, for every reader. Of a PAX header and a long name each reader prefers
 * another one.
 * @throws DomainError `invalid` for what readers disagree about.
 */
export function addMetadata(metadata: Metadata, more: Metadata): Metadata {
  const { pax } = more
  const empty = pax && neverEmpty.find(key => paxText(pax, key) === '')
  if (empty !== undefined) throw invalidLayer(`a PAX header has an empty ${empty}`)
  const all = { ...metadata, ...more }
  if (all.pax !== undefined && (all.longName ?? all.longLinkname) !== undefined)
    throw invalidLayer('an entry has both a PAX header and a long name of GNU')
  return all
}

/**
 * The text of GNU's long name, which ends at its first NUL.
 * @throws DomainError `invalid` for an empty one: readers disagree about what the entry is called then.
 */
export function longText(bytes: Buffer): ByteString {
  const nul = bytes.indexOf(0)
  const text = asByteString(bytes.toString('latin1', 0, nul < 0 ? bytes.length : nul))
  if (text === '') throw invalidLayer('an entry has an empty long name of GNU')
  return text
}
