import { DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { algorithmOf, type Digest, digestOf, parseDigest } from '../digest.ts'
import { type Manifest, maxManifestBytes, parseManifest } from '../manifest.ts'
import { isManifestMediaType, mediaTypes, stripParameters } from '../media-types.ts'
import type { ManifestInfo, StoredManifest } from '../metadata/manifest-records.ts'
import { formatReference, type Reference } from '../reference.ts'
import { pullAccess } from './access.ts'
import type { Ask } from './ask.ts'
import type { AskedRepository } from './blob-reads.ts'
import { lengthOf } from './blob-selection.ts'
import { acting } from './explanation.ts'
import type { RegistryDocument } from './registry-transport.ts'

/** All that are understood. Without them a registry answers with what very old clients understood. */
export const acceptedManifests = Object.values(mediaTypes).filter(isManifestMediaType).join(', ')

/** By HEAD, which counts as no pull, or by GET where that does not tell all. @throws as {@link getManifest}. */
export async function statManifest(
  asked: AskedRepository,
  reference: Reference,
  { signal }: Abortable,
): Promise<ManifestInfo> {
  const { client } = asked
  const ask: Ask = { ...manifestAsk(asked, reference), method: 'HEAD', follow: true }
  const answer = await client.ask(ask, { limit: 0, signal })
  const info = answer.status === 200 ? infoIn(answer) : undefined
  if (info !== undefined) {
    if (reference.kind === 'digest' && info.digest !== reference.digest)
      throw otherDigest(asked, reference, info.digest)
    return info
  }
  // A storage that it leads to may have let us in for GET alone.
  const mayTell = answer.status === 200 || answer.status === 405 || !client.isOwn(answer.url)
  if (!mayTell) throw client.failure(ask, answer)
  const { digest, mediaType, size } = await getManifest(asked, reference, { signal })
  return { digest, mediaType, size }
}

/** @throws DomainError `not_found`, `digest_mismatch`, `too_large`, `invalid`, and as the client does. */
export async function getManifest(
  asked: AskedRepository,
  reference: Reference,
  { signal }: Abortable,
): Promise<StoredManifest> {
  const { client } = asked
  const ask = manifestAsk(asked, reference)
  const answer = await client.ask(ask, { limit: maxManifestBytes, signal })
  if (answer.status !== 200) throw client.failure(ask, answer, answer.bytes)
  const { bytes } = answer
  const told = reference.kind === 'digest' ? reference.digest : digestIn(answer)
  const digest = digestOf(bytes, told === undefined ? 'sha256' : algorithmOf(told))
  if (told !== undefined && digest !== told) throw otherDigest(asked, reference, digest)
  const type = stripParameters(answer.header('content-type') ?? '')
  // Some send them as any JSON.
  const { mediaType } = parsed(asked, bytes, isManifestMediaType(type) ? type : undefined)
  return { digest, mediaType, size: bytes.length, bytes }
}

/** @throws DomainError `invalid` that says whose manifest it is. */
function parsed(
  { client, repository }: AskedRepository,
  bytes: Uint8Array,
  type: string | undefined,
): Manifest {
  try {
    return parseManifest(bytes, type)
  } catch (error) {
    if (!isDomainError(error, 'invalid')) throw error
    const name = `${client.registry}/${repository}`
    const message = `${name} has sent what cannot be taken: ${error.message.replace(acting, '·')}`
    throw new DomainError('invalid', message, { resource: 'image', name }, { cause: error })
  }
}

/** What `Docker-Content-Digest` says, where it is a digest. */
export function digestIn({ header }: Pick<RegistryDocument, 'header'>): Digest | undefined {
  try {
    return parseDigest(header('docker-content-digest') ?? '')
  } catch {
    return undefined
  }
}

function manifestAsk({ repository }: AskedRepository, reference: Reference): Ask {
  return {
    access: pullAccess(repository),
    what: 'manifest',
    path: `manifests/${formatReference(reference)}`,
    headers: { accept: acceptedManifests },
  }
}

function infoIn(answer: RegistryDocument): ManifestInfo | undefined {
  const [digest, size] = [digestIn(answer), lengthOf(answer)]
  const mediaType = stripParameters(answer.header('content-type') ?? '')
  // No manifest is that large: reading it says so.
  const isSize = size !== undefined && size > 0 && size <= maxManifestBytes
  if (digest === undefined || !isSize || !isManifestMediaType(mediaType)) return undefined
  return { digest, mediaType, size }
}

function otherDigest(
  { client, repository }: AskedRepository,
  reference: Reference,
  actual: Digest,
): DomainError {
  const name = `${client.registry}/${repository}`
  return new DomainError(
    'digest_mismatch',
    `The registry ${client.registry} sent other bytes (${actual}) for the manifest ${formatReference(reference)} of ${name}.`,
    { resource: 'image', name },
  )
}
