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
}

export class Model {
  readonly repositories = new Map<RepositoryName, ModelRepository>()

  of(name: RepositoryName): ModelRepository {
    const known = this.repositories.get(name)
    if (known !== undefined) return known
    const made = { manifests: new Map(), blobs: new Set<Digest>(), tags: new Map(), promised: new Map() }
    this.repositories.set(name, made)
    return made
  }

  /** Manifests that a tag leads to, through indexes, and their referrers, and theirs. */
  keptManifests(name: RepositoryName): Set<Digest> {
    const { manifests, tags } = this.of(name)
    const kept = new Set<Digest>()
    const add = (digest: Digest): void => {
      const manifest = manifests.get(digest)
      if (manifest === undefined || kept.has(digest)) return
      kept.add(digest)
      for (const { role, descriptor } of manifest.edges) if (role === 'child') add(descriptor.digest)
      for (const [referrer, { edges }] of manifests)
        if (edges.some(({ role, descriptor }) => role === 'subject' && descriptor.digest === digest))
          add(referrer)
    }
    for (const digest of tags.values()) add(digest)
    return kept
  }

  /** Blobs that these name. */
  keptBlobs(name: RepositoryName, kept: ReadonlySet<Digest>): Set<Digest> {
    const { manifests, blobs } = this.of(name)
    const named = [...kept].flatMap(digest => manifests.get(digest)?.edges ?? [])
    return new Set(named.map(({ descriptor }) => descriptor.digest).filter(digest => blobs.has(digest)))
  }
}
