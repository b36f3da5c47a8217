import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { MirrorLease } from './mirror-records.ts'

/** CONTRACT. What pull-through remembers of what it has fetched. The executable half is `test/contract/upstream.ts`. */
export interface UpstreamRecords {
  /** When a tag was last compared with upstream, and what was found; undefined when never. */
  findUpstreamTag(repository: RepositoryName, tag: Tag, options?: Abortable): Promise<UpstreamTag | undefined>
  noteUpstreamTag(
    repository: RepositoryName,
    tag: Tag,
    found: UpstreamTag,
    options?: Abortable,
  ): Promise<void>
  /**
   * Forgets tags that were last compared before `before`, at most so many, and leases of fills that ran out before: of
   * those who asked for what is nowhere, too. Answers how many tags.
   */
  forgetUpstreamTags(before: Date, limit: number, options?: Abortable): Promise<number>
  /** Manifests that somebody has pulled, for eviction; the latest time of each stays. Those that are gone are passed over. */
  notePulled(pulled: readonly PulledManifest[], options?: Abortable): Promise<void>
  /**
   * Manifests below `prefix` that were last pulled (or, never pulled, fetched) before `before`, longest ago first, and
   * that no index of the repository names: its children stay as long as it does, however deep they are.
   */
  listEvictable(
    prefix: RepositoryName,
    before: Date,
    limit: number,
    options?: Abortable,
  ): Promise<PulledManifest[]>
  /**
   * Bytes of all blobs and manifests that repositories below `prefix` hold: a blob is counted once, in however many of them
   * it is, a manifest in each.
   */
  bytesBelow(prefix: RepositoryName, options?: Abortable): Promise<number>
  /**
   * Lets go of blobs that no manifest of the repository names and that were linked before `before`, a few hundred at a time,
   * so that it is not in the way of others for long. Answers how many. Only for what can be fetched again: who was told a
   * moment ago that a blob is there may not find it.
   */
  unlinkUnnamed(repository: RepositoryName, before: Date, options?: Abortable): Promise<number>
  /** One who fetches a blob at a time, among all processes; as `leaseMirrorJob`. */
  leaseFill(
    repository: RepositoryName,
    digest: Digest,
    lease: MirrorLease,
    options?: Abortable,
  ): Promise<boolean>
  releaseFill(repository: RepositoryName, digest: Digest, holder: string, options?: Abortable): Promise<void>
  /** One who lets go of copies at a time, of all upstreams; as `leaseMirrorJob`. */
  leaseEviction(lease: MirrorLease, options?: Abortable): Promise<boolean>
  releaseEviction(holder: string, options?: Abortable): Promise<void>
  /** What manifests of the repository say that the blob has, in bytes, each once: one, unless some are wrong. At most ten. */
  sizesNamed(repository: RepositoryName, digest: Digest, options?: Abortable): Promise<number[]>
}

export interface UpstreamTag {
  readonly checkedAt: Date
  /** Null: upstream does not have it. */
  readonly digest: Digest | null
}

export interface PulledManifest {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly at: Date
}
