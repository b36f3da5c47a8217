import { DomainError } from '../../../errors.ts'
import type { ImageUuid } from '../../smartos/image-uuid.ts'
import type { Found, FoundPublication, Taken } from './publication-datasets.ts'

/** How many of those that need a publication are named. */
const namedUsers = 3

/** @param users datasets, or snapshots, of others. */
export function publicationInUse(uuid: ImageUuid, users: readonly string[], cause?: unknown): DomainError {
  const named = users.slice(0, namedUsers).join(', ')
  const others = users.length > namedUsers ? ` and ${users.length - namedUsers} others` : ''
  const message =
    users.length === 0
      ? `The image ${uuid} stays published: something was made from it; zfs list -o name,origin shows what.`
      : `The image ${uuid} stays published, for it is needed by ${named}${others}; delete these first (vmadm delete, for zones).`
  return new DomainError('conflict', message, { resource: 'image', name: uuid }, { cause })
}

export function publishedOtherwise(uuid: ImageUuid, { dataset, chain }: FoundPublication): DomainError {
  const message = `${dataset} is published with another chain, ${chain}; unpublish it first.`
  return new DomainError('conflict', message, { resource: 'image', name: uuid })
}

export function takenBy(uuid: ImageUuid, { dataset, store, hasFinal }: Taken): DomainError {
  const message = `${dataset} is there already: ${whose(uuid, store, hasFinal)}.`
  return new DomainError('conflict', message, { resource: 'image', name: uuid })
}

function whose(uuid: ImageUuid, store: string | undefined, hasFinal: boolean): string {
  if (store !== undefined) return `the store ${store} has published it, and nothing needs to be done`
  return hasFinal
    ? `imgadm has installed the image itself, and nothing needs to be done (imgadm get ${uuid})`
    : 'it is no image of Varve, and will not be touched; zfs get all shows what it is'
}

export function notPublished(uuid: ImageUuid, found: Found): DomainError {
  const why =
    found.kind === 'taken'
      ? `${found.dataset} is there, but was not published by this store`
      : '`varve published` lists those that there are'
  return new DomainError('not_found', `There is no publication ${uuid}: ${why}.`, {
    resource: 'image',
    name: uuid,
  })
}

export function beingChanged(dataset: string, uuid: ImageUuid): DomainError {
  return new DomainError('busy', `${dataset} is being changed by somebody else; try again.`, {
    resource: 'image',
    name: uuid,
  })
}
