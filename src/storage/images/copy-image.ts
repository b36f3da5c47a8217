import type { Abortable } from '../abortable.ts'
import type { BlobInfo } from '../blobs/blob-store.ts'
import type { Digest } from '../digest.ts'
import type { ManifestInfo } from '../metadata/manifest-records.ts'
import type { Platform } from '../platform.ts'
import type { Reference, RepositoryName, Tag } from '../reference.ts'
import { BlobCopier } from './blob-copier.ts'
import type { BlobFlights } from './blob-flights.ts'
import { CopyScope } from './copy-scope.ts'
import { ifThere } from './if-there.ts'
import type { ReadableRepository, WritableRepository } from './image-repository.ts'
import { ManifestCopier } from './manifest-copier.ts'
import { ReferrerCopier } from './referrer-copier.ts'
import { findSingle } from './single-platform.ts'

/** What is copied of an image, and how. */
export interface CopyOptions extends Abortable {
  /** Tags at the target; none: by digest alone. */
  readonly tags: readonly Tag[]
  /** What the source has just said of the manifest that is copied, so that it is not asked again. */
  readonly found?: ManifestInfo | undefined
  /**
   * Undefined: all of an index. `sparse`: the index as it is, with the children for these platforms only, with what is
   * attested of them, and with those that do not say a platform; `single`: the manifest of the one platform in the place
   * of the index, so its digest is another. What is no index is copied as it is: nothing but its config tells its platform.
   */
  readonly platforms?: PlatformOptions | undefined
  readonly referrers?: ReferrerOptions | undefined
  /**
   * Looks at the target for what an index names, also when the tags are right already: it may have been copied with fewer
   * platforms, or what it names may have been deleted. The source is asked for no more than is missing.
   */
  readonly thorough?: boolean | undefined
  /** With `thorough`: looks also for the blobs of the images that the target has. */
  readonly repairs?: boolean | undefined
  /** Repositories at the target's place that may have the blobs already. */
  readonly mountFrom?: readonly RepositoryName[] | undefined
  /** Blobs at once. */
  readonly concurrency?: number | undefined
  /** Shared by copies to one place that run at once, so that none stores what another is storing. */
  readonly flights?: BlobFlights | undefined
  /** What the target is called at its place: with `flights`, the copies that come after it can mount from there. */
  readonly repository?: RepositoryName | undefined
  readonly progress?: CopyProgress | undefined
}

export interface PlatformOptions {
  readonly mode: 'sparse' | 'single'
  /** For `single`, one. */
  readonly only: readonly Platform[]
}

export interface ReferrerOptions {
  /** Of the image and of its children, and of those again. */
  readonly include: boolean
  /** Only these; undefined: all. */
  readonly artifactTypes?: readonly string[] | undefined
  /**
   * `sha256-….sig`, `.att`, `.sbom`: what cosign wrote before there were referrers. True: the source is asked for each of
   * them; else the tags that it has, and only those among them are asked for.
   */
  readonly legacyCosignTags?: boolean | ReadonlySet<string> | undefined
}

export interface CopyReport {
  /** What the tags name at the target now. */
  readonly manifest: ManifestInfo
  readonly manifestsCopied: number
  /** Children and referrers that the source names and does not have. */
  readonly manifestsAbsent: number
  readonly blobsCopied: number
  readonly blobsMounted: number
  readonly blobsPresent: number
  /** Of blobs that came. */
  readonly bytes: number
  /** With all that belongs to them, and what legacy tags name among them. */
  readonly referrersCopied: number
}

/** Told as it goes; for people and for counts. */
export interface CopyProgress {
  manifest?(digest: Digest, what: 'begun' | 'present' | 'copied'): void
  blob?(blob: BlobInfo, what: 'begun' | 'present' | 'mounted' | 'copied'): void
  /** Bytes of the blob that are at the target, of `blob.size`. */
  bytes?(blob: BlobInfo, stored: number): void
}

/**
 * The signature of the copy engine: an image with all that belongs to it from one place to another. What is at the target
 * already is not asked for. A manifest is put after all that it names, its referrers before its tags, so nobody sees half
 * an image, or one whose signatures are still to come. What was read of the tag first is what is copied, whatever becomes
 * of the tag meanwhile.
 * @throws DomainError as the repositories do; `not_found` for a platform that it does not have; `too_large` for more
 * manifests, or deeper ones, than any image has; `size_mismatch` for a descriptor that says another size.
 */
export type CopyImage = (
  source: ReadableRepository,
  reference: Reference,
  target: WritableRepository,
  options: CopyOptions,
) => Promise<CopyReport>

export const copyImage: CopyImage = async (source, reference, target, options) => {
  const scope = new CopyScope(source, target, options)
  return await scope.run(async () => {
    const { tags, platforms, thorough = false } = options
    const { include = false, legacyCosignTags = false } = options.referrers ?? {}
    const found = options.found ?? (await source.stat(reference, scope))
    const wanted = platforms?.mode === 'single' ? await findSingle(scope, found, platforms.only) : found
    const there = await countTags(scope, wanted.digest)
    const isTagged = tags.length > 0 && there === tags.length
    if (isTagged && !include && legacyCosignTags === false && !thorough) {
      scope.progress.manifest?.(wanted.digest, 'present')
      return scope.reportOf(wanted)
    }
    const manifests = new ManifestCopier(scope, new BlobCopier(scope))
    const only = platforms?.mode === 'sparse' ? platforms.only : []
    const root = await manifests.prepare(wanted, { only, present: there > 0 ? wanted : undefined })
    if (root === undefined) throw scope.absent(wanted.digest)
    // A subject that is there is what every registry takes referrers for; without tags nobody comes upon it yet.
    await new ReferrerCopier(scope, manifests).copyAll(() => manifests.put(root, []))
    if (!isTagged) await manifests.put(root, tags)
    return scope.reportOf(root.info)
  })
}

/** How many of the tags name the digest at the target. */
async function countTags(scope: CopyScope, digest: Digest): Promise<number> {
  const { target, options } = scope
  const found = await scope.all(options.tags.map(tag => ifThere(target.stat({ kind: 'tag', tag }, scope))))
  return found.filter(info => info?.digest === digest).length
}
