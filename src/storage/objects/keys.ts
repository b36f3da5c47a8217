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
 */
export type ObjectKey = string & { readonly __brand: 'ObjectKey' }

const keyPattern = /^blobs\/[0-9a-f]{2}\/[0-9a-f]{30}$/

export function newObjectKey(random: (bytes: number) => Uint8Array = randomBytes): ObjectKey {
  const hex = Buffer.from(random(16)).toString('hex')
  return `blobs/${hex.slice(0, 2)}/${hex.slice(2)}` as ObjectKey
}

export function isObjectKey(text: string): text is ObjectKey {
  return keyPattern.test(text)
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
