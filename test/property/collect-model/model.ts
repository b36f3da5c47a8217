import type { Digest } from '../../../src/storage/digest.ts'
import type { NewManifest } from '../../../src/storage/metadata/manifest-records.ts'
import type { RepositoryName, Tag } from '../../../src/storage/reference.ts'

/** What one repository ought to have, by what clients have done; written from the rules, and with none of the code. */
export interface ModelRepository {
  readonly manifests: Map<Digest, NewManifest>
  readonly blobs: Set<Digest>
  readonly tags: Map<Tag, Digest>
  /** Until when something was promised to be there. */
  readonly promised: Map<Digest, number>
  /** What was deleted, and until when it can be taken back. */
  readonly buried: Map<Digest, number>
  /** All that each tag ever named. */
  readonly named: Map<Tag, Set<Digest>>
  /** When tags go by themselves. */
  readonly expiries: Map<Tag, number>
  /** Blobs that a client has deleted since: what names them cannot be taken back. */
  readonly torn: Set<Digest>
  /** As it was when it was deleted, while nothing of it has come back. */
  deleted: DeletedRepository | undefined
}

export interface DeletedRepository {
  readonly tags: ReadonlyMap<Tag, Digest>
  readonly goesAt: number
  /** Whether all of it can be taken back. */
  isWhole: boolean
}

export class Model {
  readonly repositories = new Map<RepositoryName, ModelRepository>()
  /** All manifests that there ever were. */
  readonly contents = new Map<Digest, NewManifest>()
  /** Whose bytes were found damaged, and that nobody has pushed since. */
  readonly quarantined = new Set<Digest>()

  of(name: RepositoryName): ModelRepository {
    const known = this.repositories.get(name)
    if (known !== undefined) return known
    const made: ModelRepository = {
      manifests: new Map(),
      blobs: new Set(),
      tags: new Map(),
      promised: new Map(),
      buried: new Map(),
      named: new Map(),
      expiries: new Map(),
      torn: new Set(),
      deleted: undefined,
    }
    this.repositories.set(name, made)
    return made
  }

  /** A tag is set. Answers what it named before, if that is something else. */
  point(name: RepositoryName, tag: Tag, digest: Digest): Digest | undefined {
    const { tags, named, expiries } = this.of(name)
    const before = tags.get(tag)
    tags.set(tag, digest)
    named.set(tag, (named.get(tag) ?? new Set()).add(digest))
    expiries.delete(tag)
    return before === digest ? undefined : before
  }

  promise(name: RepositoryName, digest: Digest, until: number): void {
    const { promised } = this.of(name)
    promised.set(digest, Math.max(promised.get(digest) ?? 0, until))
  }

  /** A manifest that is there is deleted, with its tags; its referrers wait for it. */
  bury(name: RepositoryName, digest: Digest, goesAt: number): void {
    const { manifests, promised, tags, buried, expiries } = this.of(name)
    manifests.delete(digest)
    promised.delete(digest)
    buried.set(digest, goesAt)
    for (const [tag, named] of tags)
      if (named === digest) {
        tags.delete(tag)
        expiries.delete(tag)
      }
    for (const [referrer, manifest] of manifests)
      if (targetsOf(manifest, 'subject').includes(digest)) this.promise(name, referrer, goesAt)
  }

  /** All that one has is another's from now on. */
  rename(from: RepositoryName, to: RepositoryName): void {
    this.repositories.set(to, this.of(from))
    this.repositories.delete(from)
  }

  /** Manifests that a tag or a promise leads to, through indexes, and their referrers, and theirs. */
  keptManifests(name: RepositoryName, now: number): Set<Digest> {
    const { manifests, tags, promised } = this.of(name)
    const kept = new Set<Digest>()
    const add = (digest: Digest): void => {
      const manifest = manifests.get(digest)
      if (manifest === undefined || kept.has(digest)) return
      kept.add(digest)
      for (const child of targetsOf(manifest, 'child')) add(child)
      for (const [referrer, other] of manifests)
        if (targetsOf(other, 'subject').includes(digest)) add(referrer)
    }
    for (const digest of tags.values()) add(digest)
    for (const [digest, until] of promised) if (until > now) add(digest)
    return kept
  }

  /** Blobs that these name. */
  keptBlobs(name: RepositoryName, kept: ReadonlySet<Digest>): Set<Digest> {
    const { manifests, blobs } = this.of(name)
    const named = [...kept].flatMap(digest => manifests.get(digest)?.edges ?? [])
    return new Set(named.map(({ descriptor }) => descriptor.digest).filter(digest => blobs.has(digest)))
  }
}

export function targetsOf({ edges }: NewManifest, role: 'child' | 'subject'): Digest[] {
  return edges.filter(edge => edge.role === role).map(({ descriptor }) => descriptor.digest)
}

/** Blobs that it names. */
export function blobsOf({ edges }: NewManifest): Digest[] {
  return edges
    .filter(({ role }) => role !== 'child' && role !== 'subject')
    .map(({ descriptor }) => descriptor.digest)
}
