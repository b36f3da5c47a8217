import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { algorithmOf } from '../digest.ts'
import type { StoredManifest } from '../metadata/manifest-records.ts'
import { formatReference, type Reference } from '../reference.ts'
import { pushAccess } from './access.ts'
import type { Ask } from './ask.ts'
import type { AskedRepository } from './blob-reads.ts'
import { saysAnyOf } from './explanation.ts'
import { digestIn } from './manifest-reads.ts'
import type { RegistryDocument } from './registry-transport.ts'
import { maxPushAnswer } from './upload-session.ts'

/** One PUT. @throws DomainError as `putRemoteManifest`. */
export async function putManifestAs(
  { client, repository }: AskedRepository,
  manifest: StoredManifest,
  reference: Reference,
  { signal }: Abortable,
): Promise<RegistryDocument> {
  const ask: Ask = {
    access: pushAccess(repository),
    what: 'manifest',
    method: 'PUT',
    path: `manifests/${formatReference(reference)}`,
    headers: { 'content-type': manifest.mediaType },
    body: manifest.bytes,
  }
  const answer = await client.ask(ask, { limit: maxPushAnswer, signal })
  if (answer.status < 200 || answer.status > 299)
    throw refusal(answer, client.failure(ask, answer, answer.bytes))
  const stored = digestIn(answer)
  const isSame =
    stored === undefined || stored === manifest.digest || algorithmOf(stored) !== algorithmOf(manifest.digest)
  if (isSame) return answer
  throw new DomainError(
    'digest_mismatch',
    `The registry ${client.registry} has stored other bytes (${stored}) for the manifest ${manifest.digest} of ${repository}.`,
    { resource: 'image', name: `${client.registry}/${repository}` },
  )
}

function refusal({ status, bytes }: RegistryDocument, failure: DomainError): DomainError {
  const { message, details } = failure
  if (saysAnyOf(bytes, 'MANIFEST_BLOB_UNKNOWN', 'BLOB_UNKNOWN', 'MANIFEST_UNKNOWN'))
    return new DomainError('missing_reference', message, details)
  return status === 400 ? new DomainError('invalid', message, details) : failure
}
