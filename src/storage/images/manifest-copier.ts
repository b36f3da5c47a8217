import type { Descriptor } from '../descriptor.ts'
import type { Digest } from '../digest.ts'
import { edgesOf, type ImageIndex, type ImageManifest, parseManifest } from '../manifest.ts'
import { isManifestMediaType, manifestKindOf } from '../media-types.ts'
import type { ManifestInfo, StoredManifest } from '../metadata/manifest-records.ts'
import type { Platform } from '../platform.ts'
import type { Tag } from '../reference.ts'
import type { BlobCopier } from './blob-copier.ts'
import { type ChosenChild, chooseChildren, noSuchPlatform } from './chosen-children.ts'
import { copyLimits, defaultConcurrency } from './copy-limits.ts'
import type { CopyScope } from './copy-scope.ts'
import { ifThere } from './if-there.ts'
import { readManifest, throwUnlessSize, type WantedManifest } from './read-manifest.ts'

/** A manifest whose blobs and children are at the target, so that it may be put. */
export interface ReadyManifest {
  readonly info: ManifestInfo
  /** Undefined while it did not have to be read. */
  readonly stored: StoredManifest | undefined
  readonly isPresent: boolean
}

export interface PrepareOptions {
  /** Of an index, these platforms; all, when none is given. */
  readonly only: readonly Platform[]
  /** What the target is known to have of it. */
  readonly present?: ManifestInfo | undefined
  /** Indexes above it. */
  readonly depth?: number | undefined
}

/** Brings manifests to the target, each after all that it names, and each once. */
export class ManifestCopier {
  readonly #scope: CopyScope
  readonly #blobs: BlobCopier
  /** Children that have been begun; whether they were there to be copied. */
  readonly #children = new Map<Digest, Promise<boolean>>()
  #subjects: Digest[] = []

  constructor(scope: CopyScope, blobs: BlobCopier) {
    this.#scope = scope
    this.#blobs = blobs
  }

  /** Those that were copied, or were there, since this was asked last: what something may refer to. */
  takeSubjects(): readonly Digest[] {
    const taken = this.#subjects
    this.#subjects = []
    return taken
  }

  /** Brings what the manifest names; what the target has is read from there. @returns undefined when the source lacks it. */
  async prepare(wanted: WantedManifest, options: PrepareOptions): Promise<ReadyManifest | undefined> {
    const { source, target, progress } = this.#scope
    const { only, depth = 0 } = options
    this.#scope.countManifest()
    progress.manifest?.(wanted.digest, 'begun')
    const present = options.present ?? (await this.#findPresent(wanted))
    if (present !== undefined) progress.manifest?.(wanted.digest, 'present')
    const isBelieved = this.#scope.options.repairs !== true
    if (present !== undefined && isBelieved && manifestKindOf(present.mediaType) === 'image')
      return this.#ready({ info: present, stored: undefined, isPresent: true })

    const place = present === undefined ? source : target
    const stored = await ifThere(readManifest(place, wanted, this.#scope))
    if (stored === undefined) return undefined
    const manifest = parseManifest(stored.bytes, stored.mediaType)
    if (manifest.kind === 'image') await this.#bringBlobs(manifest)
    else await this.#bringChildren(manifest, only, depth)
    return this.#ready({ info: stored, stored, isPresent: present !== undefined })
  }

  /** Puts it under the tags; without any, unless it is there already. */
  async put({ info, stored, isPresent }: ReadyManifest, tags: readonly Tag[]): Promise<void> {
    const { target } = this.#scope
    if (tags.length === 0 && (isPresent || this.#scope.hasCopied(info.digest))) return
    const manifest = stored ?? (await readManifest(target, info, this.#scope))
    await target.putManifest(manifest, tags, this.#scope)
    if (!isPresent) this.#scope.copied(info.digest)
  }

  /** Puts what the target has once more, so that it sees that it refers to the subject. Nothing for what does not. */
  async putAgain(wanted: WantedManifest, subject: Digest): Promise<void> {
    const { target } = this.#scope
    const stored = await ifThere(readManifest(target, wanted, this.#scope))
    if (stored === undefined || parseManifest(stored.bytes, stored.mediaType).subject?.digest !== subject)
      return
    await target.putManifest(stored, [], this.#scope)
  }

  /** Copies what an index, or a list of referrers, names. @returns false when the source does not have it. */
  async copyNamed(descriptor: Descriptor, options: PrepareOptions): Promise<boolean> {
    if (!isManifestMediaType(descriptor.mediaType))
      return await this.#blobs.copy(descriptor, { isOptional: true })
    const begun = this.#children.get(descriptor.digest) ?? this.#copyOnce(descriptor, options)
    this.#children.set(descriptor.digest, begun)
    return await begun
  }

  async #copyOnce(wanted: WantedManifest, options: PrepareOptions): Promise<boolean> {
    const ready = await this.prepare(wanted, options)
    if (ready === undefined) this.#scope.tally.manifestsAbsent += 1
    else await this.put(ready, [])
    return ready !== undefined
  }

  async #findPresent(wanted: WantedManifest): Promise<ManifestInfo | undefined> {
    const { target } = this.#scope
    const info = await ifThere(target.stat({ kind: 'digest', digest: wanted.digest }, this.#scope))
    if (info !== undefined) throwUnlessSize(target, wanted, info.size)
    return info
  }

  #ready(manifest: ReadyManifest): ReadyManifest {
    this.#subjects.push(manifest.info.digest)
    return manifest
  }

  async #bringBlobs(manifest: ImageManifest): Promise<void> {
    const blobs = edgesOf(manifest).filter(({ role }) => role === 'config' || role === 'layer')
    await this.#scope.all(
      blobs.map(({ descriptor, required }) => this.#blobs.copy(descriptor, { isOptional: !required })),
    )
  }

  /** A child that the source lacks is left out, as it was there; but not one that was asked for, and not all of them. */
  async #bringChildren(index: ImageIndex, only: readonly Platform[], depth: number): Promise<void> {
    if (depth >= copyLimits.indexDepth)
      throw this.#scope.tooLarge(`its indexes are nested more than ${copyLimits.indexDepth} deep`)
    const chosen = chooseChildren(index, only)
    // Known before any of them is asked for.
    if (chosen.length > copyLimits.manifests)
      throw this.#scope.tooLarge(
        `it names ${chosen.length} manifests, and ${copyLimits.manifests} are the most`,
      )
    if (depth === 0 && only.length > 0 && !chosen.some(({ isWanted }) => isWanted))
      throw noSuchPlatform(this.#scope.source.label, index, only)
    const absent: ChosenChild[] = []
    const copyOne = async (child: ChosenChild): Promise<void> => {
      if (!(await this.copyNamed(child.descriptor, { only, depth: depth + 1 }))) absent.push(child)
    }
    // Deeper ones one after the other: each that is under way holds its bytes.
    const atOnce = depth === 0 ? (this.#scope.options.concurrency ?? defaultConcurrency) : 1
    await this.#scope.forEach(chosen, atOnce, copyOne)
    const missing =
      absent.find(({ isWanted }) => isWanted) ?? (absent.length === chosen.length ? absent[0] : undefined)
    if (missing !== undefined) throw this.#scope.absent(missing.descriptor.digest)
  }
}
