import type { Descriptor } from '../descriptor.ts'
import type { Digest } from '../digest.ts'
import { isManifestMediaType } from '../media-types.ts'
import type { ManifestInfo } from '../metadata/manifest-records.ts'
import type { Tag } from '../reference.ts'
import { copyLimits, defaultConcurrency } from './copy-limits.ts'
import type { CopyScope } from './copy-scope.ts'
import { cosignTagsOf } from './cosign-tags.ts'
import { ifThere } from './if-there.ts'
import type { ManifestCopier } from './manifest-copier.ts'

interface ChangedTag {
  readonly tag: Tag
  readonly info: ManifestInfo
}

/** Copies what refers to the manifests of an image: signatures, attestations, bills of materials. */
export class ReferrerCopier {
  readonly #scope: CopyScope
  readonly #manifests: ManifestCopier
  readonly #atOnce: number

  constructor(scope: CopyScope, manifests: ManifestCopier) {
    this.#scope = scope
    this.#manifests = manifests
    this.#atOnce = scope.options.concurrency ?? defaultConcurrency
  }

  /** Of all that has been prepared so far. @param putSubject called before the first that is found is copied. */
  async copyAll(putSubject: () => Promise<void>): Promise<void> {
    const { include = false, legacyCosignTags = false } = this.#scope.options.referrers ?? {}
    const image = this.#manifests.takeSubjects()
    let subjects = include ? image : []
    for (let depth = 0; subjects.length > 0; depth += 1) {
      const found = await this.#find(subjects)
      if (found.size === 0) break
      if (depth >= copyLimits.referrerDepth)
        throw this.#scope.tooLarge(
          `its referrers refer to each other more than ${copyLimits.referrerDepth} deep`,
        )
      await putSubject()
      // Each once, though several subjects may have one.
      const each = new Map([...found.values()].flat().map(descriptor => [descriptor.digest, descriptor]))
      await this.#counted(() =>
        this.#scope.forEach(each.values(), this.#atOnce, async descriptor => {
          await this.#manifests.copyNamed(descriptor, { only: [] })
        }),
      )
      await this.#scope.forEach(found, this.#atOnce, async ([subject, wanted]) => {
        await this.#listAll(subject, wanted)
      })
      subjects = this.#manifests.takeSubjects()
    }
    if (legacyCosignTags === false) return
    const tags = image
      .flatMap(cosignTagsOf)
      .filter(tag => legacyCosignTags === true || legacyCosignTags.has(tag))
    const changed = await this.#findChanged(tags)
    if (changed.length === 0) return
    await putSubject()
    await this.#counted(() =>
      this.#scope.forEach(changed, this.#atOnce, async ({ tag, info }) => {
        const ready = await this.#manifests.prepare(info, { only: [] })
        if (ready !== undefined) await this.#manifests.put(ready, [tag])
      }),
    )
  }

  /** By subject, without those that have none. */
  async #find(subjects: readonly Digest[]): Promise<Map<Digest, Descriptor[]>> {
    const { source, options } = this.#scope
    const wanted = options.referrers?.artifactTypes
    const found = new Map<Digest, Descriptor[]>()
    let count = 0
    await this.#scope.forEach(new Set(subjects), this.#atOnce, async subject => {
      const descriptors: Descriptor[] = []
      for await (const descriptor of source.referrers(subject, this.#scope)) {
        const { mediaType, digest, size, artifactType = '' } = descriptor
        if (!isManifestMediaType(mediaType) || (wanted !== undefined && !wanted.includes(artifactType)))
          continue
        // Annotations may be long, and nobody here reads them.
        descriptors.push({ mediaType, digest, size })
        // A manifest has one subject, so whoever names it for many is counted for each.
        count += 1
        if (count > copyLimits.manifests)
          throw this.#scope.tooLarge(`it has more than ${copyLimits.manifests} referrers`)
      }
      if (descriptors.length > 0) found.set(subject, descriptors)
    })
    return found
  }

  /**
   * Whoever was interrupted between a manifest and the list that it belongs in has left a target that has the one and not
   * the other; so has a target where two were put at once, if it writes its lists without looking.
   */
  async #listAll(subject: Digest, wanted: readonly Descriptor[]): Promise<void> {
    const { target } = this.#scope
    const listed = new Set<Digest>()
    for await (const { digest } of target.referrers(subject, this.#scope)) listed.add(digest)
    // One after the other, or the list might lose them again.
    for (const descriptor of wanted)
      if (!listed.has(descriptor.digest)) await this.#manifests.putAgain(descriptor, subject)
  }

  /** Tags that the source has, and the target not, or for something else. */
  async #findChanged(tags: readonly Tag[]): Promise<ChangedTag[]> {
    const { source, target } = this.#scope
    const changed: ChangedTag[] = []
    await this.#scope.forEach(tags, this.#atOnce, async tag => {
      const info = await ifThere(source.stat({ kind: 'tag', tag }, this.#scope))
      if (info === undefined) return
      const there = await ifThere(target.stat({ kind: 'tag', tag }, this.#scope))
      if (there?.digest !== info.digest) changed.push({ tag, info })
    })
    return changed
  }

  async #counted(work: () => Promise<void>): Promise<void> {
    const before = this.#scope.manifestsCopied
    await work()
    this.#scope.tally.referrersCopied += this.#scope.manifestsCopied - before
  }
}
