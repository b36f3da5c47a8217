import type { Abortable } from '../../storage/abortable.ts'
import type { Digest } from '../../storage/digest.ts'
import { cosignTagsOf } from '../../storage/images/cosign-tags.ts'
import { ifThere } from '../../storage/images/if-there.ts'
import type { ReadableRepository } from '../../storage/images/image-repository.ts'
import { isSignatureType } from '../trust/signature-reader.ts'

/** Referrers that are looked at; what has more and no signature among them counts as not signed. */
const maxLookedAt = 1000

/**
 * Whether something that looks like a signature refers to the manifest: an artifact of cosign or notation, or cosign's
 * tag. It does not say that the signature is right, whose it is, or that it is one of this very manifest.
 *
 * @param listed tags that the repository has; undefined where it was not asked.
 */
export async function isSigned(
  repository: ReadableRepository,
  digest: Digest,
  listed: ReadonlySet<string> | undefined,
  options: Abortable,
): Promise<boolean> {
  const [tag] = cosignTagsOf(digest)
  if (tag !== undefined && listed?.has(tag)) return true
  let count = 0
  for await (const { artifactType } of repository.referrers(digest, options)) {
    if (isSignatureType(artifactType)) return true
    count += 1
    if (count >= maxLookedAt) break
  }
  if (tag === undefined || listed !== undefined) return false
  return (await ifThere(repository.stat({ kind: 'tag', tag }, options))) !== undefined
}
