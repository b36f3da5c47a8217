import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { algorithmOf, type Digest, parseDigest } from '../digest.ts'
import { maxLinkBytes } from './legacy-layout.ts'
import type { LegacyFile, LegacyStore } from './legacy-store.ts'

/** @throws DomainError `invalid` when the file does not hold a digest and nothing else. */
export async function readLink(
  from: LegacyStore,
  { path }: LegacyFile,
  options?: Abortable,
): Promise<Digest> {
  const bytes = await from.read(path, { ...options, limit: maxLinkBytes })
  try {
    return parseDigest(Buffer.from(bytes).toString('latin1'))
  } catch (cause) {
    throw damagedLink(path, cause)
  }
}

/**
 * The digest that the bytes of a linked digest are stored under. A link of the right size is not read: in a bucket that
 * would be one more request for each layer, and the bytes are verified against the digest of the path anyway.
 */
export async function storedAs(
  from: LegacyStore,
  digest: Digest,
  link: LegacyFile,
  options?: Abortable,
): Promise<Digest> {
  if (link.size === digest.length) return digest
  const target = await readLink(from, link, options)
  if (algorithmOf(target) === algorithmOf(digest)) throw damagedLink(link.path)
  return target
}

function damagedLink(path: string, cause?: unknown): DomainError {
  return new DomainError(
    'invalid',
    `The link ${path} does not hold the digest that it should.`,
    { resource: 'digest', name: path },
    { cause },
  )
}
