import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { algorithmOf } from '../digest.ts'
import { parseManifest } from '../manifest.ts'
import type { StoredManifest } from '../metadata/manifest-records.ts'
import type { Reference, Tag } from '../reference.ts'
import { deleteAccess } from './access.ts'
import type { Ask } from './ask.ts'
import type { AskedRepository } from './blob-reads.ts'
import { saysAnyOf } from './explanation.ts'
import { putManifestAs } from './put-manifest.ts'
import { inTurn, listReferrerByTag } from './referrer-tag.ts'
import { maxPushAnswer } from './upload-session.ts'

/**
 * The same bytes under these tags, or by digest alone. Where the registry does not say that it has seen the subject, the
 * list of referrers that the spec puts in its place is kept up (distribution-spec, "Pushing Manifests with Subject").
 *
 * @throws DomainError `missing_reference`, `invalid`, `denied`, `conflict`, `too_large`, `digest_mismatch` when the registry
 * has stored something else, and as the client does.
 */
export async function putRemoteManifest(
  asked: AskedRepository,
  manifest: StoredManifest,
  tags: readonly Tag[],
  options: Abortable,
): Promise<void> {
  // By tag a registry calls it by sha256, whatever it was.
  const byDigest = tags.length === 0 || algorithmOf(manifest.digest) !== 'sha256'
  const references: Reference[] = [
    ...(byDigest ? [{ kind: 'digest', digest: manifest.digest } as const] : []),
    ...tags.map(tag => ({ kind: 'tag', tag }) as const),
  ]
  const putAll = async (): Promise<boolean> => {
    let isListed = false
    for (const reference of references) {
      const answer = await putManifestAs(asked, manifest, reference, options)
      isListed ||= answer.header('oci-subject') !== undefined
    }
    return isListed
  }
  const { subject } = parseManifest(manifest.bytes, manifest.mediaType)
  if (subject === undefined) await putAll()
  else
    await inTurn(asked, subject.digest, async () => {
      if (!(await putAll())) await listReferrerByTag(asked, subject.digest, manifest, options)
    })
}

/** @throws DomainError `not_found`, `denied`, `unsupported` where tags cannot be deleted. */
export async function deleteRemoteTag(
  { client, repository }: AskedRepository,
  tag: Tag,
  { signal }: Abortable,
): Promise<void> {
  const ask: Ask = {
    access: deleteAccess(repository),
    what: 'manifest',
    method: 'DELETE',
    path: `manifests/${tag}`,
  }
  const answer = await client.ask(ask, { limit: maxPushAnswer, signal })
  if (answer.status >= 200 && answer.status < 300) return
  const isUnsupported =
    answer.status === 405 ||
    (answer.status === 400 && saysAnyOf(answer.bytes, 'UNSUPPORTED', 'DIGEST_INVALID'))
  if (!isUnsupported) throw client.failure(ask, answer, answer.bytes)
  // By digest all other tags of the manifest would go, too.
  throw new DomainError(
    'unsupported',
    `The registry ${client.registry} does not delete tags, so ${repository}:${tag} stays.`,
    { resource: 'tag', name: `${client.registry}/${repository}:${tag}` },
  )
}
