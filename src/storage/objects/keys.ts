import { randomBytes } from 'node:crypto'
import { DomainError } from '../../errors.ts'

/**
 * The whole layout of an object store:
 *
 *     blobs/<2 hex>/<30 hex>     one object, all of a blob's bytes or a piece of an unfinished upload
 *
 * Keys are random, so they say nothing about content, and are never used twice: a delete that comes late
 * can hit nothing that was written later. Which digest an object has is known to the database alone.
 * Only `[a-z0-9/]` is used; Manta's S3 layer stores other characters percent-encoded.
 *
 * Beside those, the database may name objects that another program has left in the same bucket: `/` and the store's
 * whole name for it (see {@link adoptedObjectKey}). They are read and deleted as any other, and never listed.
 */
export type ObjectKey = string & { readonly __brand: 'ObjectKey' }

const keyPattern = /^blobs\/[0-9a-f]{2}\/[0-9a-f]{30}$/

export function newObjectKey(random: (bytes: number) => Uint8Array = randomBytes): ObjectKey {
  const hex = Buffer.from(random(16)).toString('hex')
  return `blobs/${hex.slice(0, 2)}/${hex.slice(2)}` as ObjectKey
}

/** Whether it is a key of our own. */
export function isObjectKey(text: string): text is ObjectKey {
  return keyPattern.test(text)
}

/** Nothing that a path could be led astray by: no empty part, no dots alone, no control character. */
const adoptedPattern = /^(?:\/(?!\.{1,2}(?:\/|$))[^/\p{Cc}]+)+$/u

/**
 * The key of an object that was there before us, by its whole name in the bucket; undefined for a name that cannot be
 * one. Whatever the prefix of our own keys is, it does not stand before this one.
 */
export function adoptedObjectKey(name: string): ObjectKey | undefined {
  const key = `/${name}`
  return adoptedPattern.test(key) ? (key as ObjectKey) : undefined
}

/** The whole name in the bucket that {@link adoptedObjectKey} was made from; undefined for a key of our own. */
export function adoptedNameOf(key: string): string | undefined {
  return key.startsWith('/') ? key.slice(1) : undefined
}

/** @throws DomainError `invalid`. */
export function parseObjectKey(text: string): ObjectKey {
  if (!isObjectKey(text))
    throw new DomainError('invalid', `${JSON.stringify(text)} is not an object key.`, {
      resource: 'object',
      name: text,
    })
  return text
}
