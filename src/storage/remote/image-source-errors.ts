import { DomainError } from '../../errors.ts'
import type { Digest } from '../digest.ts'
import { formatPlatform, type Platform } from '../platform.ts'
import { formatImageName, type ImageName } from '../reference.ts'

export function wrongPlatform(name: ImageName, wanted: Platform, offered: readonly Platform[]): DomainError {
  const choice = [...new Set(offered.map(formatPlatform))]
    .filter(text => text !== 'unknown/unknown')
    .join(', ')
  return new DomainError(
    'not_found',
    `${formatImageName(name)} has no image for ${formatPlatform(wanted)}; it has: ${choice || 'none that says its platform'}.`,
    { resource: 'platform', name: formatPlatform(wanted) },
  )
}

export function notAnImage(name: ImageName, why: string): DomainError {
  return new DomainError('invalid', `${formatImageName(name)} cannot become a root filesystem: ${why}.`, {
    resource: 'image',
    name: formatImageName(name),
  })
}

export function notTheirs(name: ImageName, digest: Digest): DomainError {
  return new DomainError(
    'not_found',
    `The registry ${name.registry} does not have the layer ${digest} of ${formatImageName(name)}, so the one that is here is not used for it.`,
    { resource: 'image', name: formatImageName(name) },
  )
}

export function wrongContent(name: ImageName, what: string, actual: Digest): DomainError {
  return new DomainError(
    'digest_mismatch',
    `The registry ${name.registry} sent other bytes (${actual}) for ${what} of ${formatImageName(name)}.`,
    { resource: 'image', name: formatImageName(name) },
  )
}
