import { randomUUID } from 'node:crypto'
import { DomainError } from '../../errors.ts'
import type { UploadId } from './blob-store.ts'

/** Nothing that a URL would escape: clients take the id out of one path and put it into another. */
const pattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Random, so that knowing one session says nothing of others. */
export function newUploadId(): UploadId {
  return randomUUID() as string as UploadId
}

/** @throws DomainError `not_found`: what is no id names no session. */
export function parseUploadId(text: string): UploadId {
  if (!pattern.test(text))
    throw new DomainError('not_found', `There is no upload ${JSON.stringify(text.slice(0, 64))}.`, {
      resource: 'upload',
      name: text.slice(0, 64),
    })
  return text as UploadId
}
