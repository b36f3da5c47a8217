import pLimit, { type LimitFunction } from 'p-limit'
import { LRUCache } from 'lru-cache'
import type { Abortable } from '../abortable.ts'
import { digestOf } from '../digest.ts'
import { maxManifestBytes, parseManifest } from '../manifest.ts'
import { mediaTypes } from '../media-types.ts'
import type { StoredManifest } from '../metadata/metadata.ts'
import type { AskedRepository } from './blob-reads.ts'
import { jsonObjectIn } from './json-object.ts'
import { putManifestAs } from './put-manifest.ts'
import { descriptorsIn, referrersTagOf, taggedReferrers } from './referrer-lists.ts'

/** One after the other for one subject, or of two that are read and written at once one would be lost. */
const turns = new LRUCache<string, LimitFunction>({ max: 1000 })

/**
 * Names the manifest in the index that stands for the referrers of its subject, at a registry that keeps no such list
 * itself. Nothing for a manifest without a subject, or for one that is named already.
 */
export async function listReferrerByTag(
  asked: AskedRepository,
  manifest: StoredManifest,
  options: Abortable,
): Promise<void> {
  const { subject } = parseManifest(manifest.bytes, manifest.mediaType)
  if (subject === undefined) return
  const key = `${asked.client.registry}/${asked.repository}@${subject.digest}`
  const turn = turns.get(key) ?? pLimit(1)
  turns.set(key, turn)
  await turn(async () => {
    const known = await taggedReferrers(asked, subject.digest, options)
    const bytes = withReferrer(known, manifest)
    if (bytes === undefined) return
    const index = { digest: digestOf(bytes), mediaType: mediaTypes.ociIndex, size: bytes.length, bytes }
    const tag = referrersTagOf(subject.digest)
    await putManifestAs(asked, index, { kind: 'tag', tag }, options)
  })
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
