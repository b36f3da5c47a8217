import { LRUCache } from 'lru-cache'
import pLimit, { type LimitFunction } from 'p-limit'
import type { Abortable } from '../abortable.ts'
import { type Digest, digestOf } from '../digest.ts'
import { maxManifestBytes, parseManifest } from '../manifest.ts'
import { mediaTypes } from '../media-types.ts'
import type { StoredManifest } from '../metadata/manifest-records.ts'
import { referrersTagOf } from '../referrers-tag.ts'
import type { AskedRepository } from './blob-reads.ts'
import { jsonObjectIn } from './json-object.ts'
import { putManifestAs } from './put-manifest.ts'
import { descriptorsIn, taggedReferrers } from './referrer-lists.ts'

/** For each subject. */
const turns = new LRUCache<string, LimitFunction>({ max: 1000 })

/**
 * Does `work` while nothing else is put that refers to the subject: whoever keeps the list of those reads and writes it, and
 * of two at once one would be lost. That is what we do where there is only a tag for it, and what some registries do.
 */
export async function inTurn<Answer>(
  { client, repository }: AskedRepository,
  subject: Digest,
  work: () => Promise<Answer>,
): Promise<Answer> {
  const key = `${client.registry}/${repository}@${subject}`
  const turn = turns.get(key) ?? pLimit(1)
  turns.set(key, turn)
  return await turn(work)
}

/**
 * Names the manifest in the index that stands for the referrers of its subject, at a registry that keeps no such list
 * itself. Nothing for one that is named already. Call it in the subject's turn.
 */
export async function listReferrerByTag(
  asked: AskedRepository,
  subject: Digest,
  manifest: StoredManifest,
  options: Abortable,
): Promise<void> {
  const known = await taggedReferrers(asked, subject, options)
  const bytes = withReferrer(known, manifest)
  if (bytes === undefined) return
  const index = { digest: digestOf(bytes), mediaType: mediaTypes.ociIndex, size: bytes.length, bytes }
  await putManifestAs(asked, index, { kind: 'tag', tag: referrersTagOf(subject) }, options)
}

/** The index with the manifest in it; undefined when it is there already, or would become too large for anybody. */
export function withReferrer(index: Uint8Array, manifest: StoredManifest): Uint8Array | undefined {
  if (descriptorsIn(index).some(({ digest }) => digest === manifest.digest)) return undefined
  const { manifests } = jsonObjectIn(index)
  const parsed = parseManifest(manifest.bytes, manifest.mediaType)
  const descriptor = {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.size,
    artifactType: parsed.artifactType ?? (parsed.kind === 'image' ? parsed.config.mediaType : undefined),
    annotations: parsed.annotations,
  }
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [...(Array.isArray(manifests) ? (manifests as unknown[]) : []), descriptor],
    }),
  )
  return bytes.length > maxManifestBytes ? undefined : bytes
}
