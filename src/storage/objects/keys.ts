import { randomBytes } from 'node:crypto'
import { DomainError } from '../../errors.ts'

/**
 * The whole layout of an object store:
 *
 *     blobs/<2 hex>/<30 hex>     one object, all of a blob's bytes or a piece of an unfinished upload
 *     backups/<id>/data          a copy of the database
 *     backups/<id>/record        what that is; written last
 *
 * Keys of blobs are random, so they say nothing about content, and are never used twice: a delete that comes late
 * can hit nothing that was written later. Which digest an object has is known to the database alone. Keys of backups
 * begin with their time, for they have to be found when there is no database.
 * Only `[a-z0-9/]` is used; Manta's S3 layer stores other characters percent-encoded.
 *
 * Beside those, the database may name objects that another program has left in the same bucket: `/` and the store's
 * whole name for it (see {@link adoptedObjectKey}). They are read and deleted as any other, and never listed.
 */
export type ObjectKey = string & { readonly __brand: 'ObjectKey' }

const keyPattern = /^blobs\/[0-9a-f]{2}\/[0-9a-f]{30}$/

/** `20300131t115959x0123456789ab`: when it was made, in UTC, and something random. In byte order, the oldest is first. */
export type BackupId = string & { readonly __brand: 'BackupId' }

export type BackupPart = 'data' | 'record'

const backupIdPattern = /^\d{8}t\d{6}x[0-9a-f]{12}$/
const backupKeyPattern = /^backups\/(\d{8}t\d{6}x[0-9a-f]{12})\/(data|record)$/

/** What keys of backups begin with. Nothing else is listed below it, and nothing below it unless it is asked for. */
export const backupPrefix = 'backups/'

export function newObjectKey(random: (bytes: number) => Uint8Array = randomBytes): ObjectKey {
  const hex = Buffer.from(random(16)).toString('hex')
  return `blobs/${hex.slice(0, 2)}/${hex.slice(2)}` as ObjectKey
}

export function newBackupId(now: Date, random: (bytes: number) => Uint8Array = randomBytes): BackupId {
  const time = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').toLowerCase()
  return `${time}x${Buffer.from(random(6)).toString('hex')}` as BackupId
}

/** @throws DomainError `invalid`. */
export function parseBackupId(text: string): BackupId {
  if (backupIdPattern.test(text)) return text as BackupId
  throw new DomainError(
    'invalid',
    `${JSON.stringify(text.slice(0, 64))} is not the ID of a backup; \`varve backup list\` shows them.`,
    { resource: 'backup', name: text.slice(0, 64) },
  )
}

export function backupKey(id: BackupId, part: BackupPart): ObjectKey {
  return `${backupPrefix}${id}/${part}` as ObjectKey
}

/** What {@link backupKey} was given; undefined for other keys. */
export function backupKeyParts(
  key: string,
): { readonly id: BackupId; readonly part: BackupPart } | undefined {
  const [, id, part] = backupKeyPattern.exec(key) ?? []
  if (id === undefined || part === undefined) return undefined
  return { id: id as BackupId, part: part === 'record' ? 'record' : 'data' }
}

/**
 * Whether a listing of this prefix shows the key. Backups show in that of `backups/…` only: whoever looks for objects that
 * no row names must never find them.
 */
export function isListed(key: string, prefix: string): key is ObjectKey {
  return prefix.startsWith(backupPrefix) ? backupKeyParts(key) !== undefined : isObjectKey(key)
}

/** Whether it is a key that this file makes: of a backup that was killed, parts are left behind as of an upload. */
export function isOwnKey(key: string): key is ObjectKey {
  return isObjectKey(key) || backupKeyParts(key) !== undefined
}

/** Whether it is the key of a blob's object, or of a piece of one. */
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
