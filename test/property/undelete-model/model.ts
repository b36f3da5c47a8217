import type { Digest } from '../../../src/storage/digest.ts'
import type { NewManifest } from '../../../src/storage/metadata/manifest-records.ts'

export interface Buried {
  readonly manifest: NewManifest
  readonly deletedAt: number
  goesAt: number
  /** What it names and the repository had. */
  readonly names: ReadonlySet<Digest>
}

/** What a repository ought to have, as plain data. */
export class Model {
  readonly live = new Map<Digest, NewManifest>()
  readonly tags = new Map<string, Digest>()
  readonly buried = new Map<Digest, Buried>()
  /** What each tag named, and before, newest first. */
  readonly history = new Map<string, { digest: Digest | null; previous: Digest | null }[]>()

  point(tag: string, digest: Digest): void {
    this.#note(tag, digest)
    this.tags.set(tag, digest)
  }

  untag(tag: string): void {
    this.#note(tag, null)
    this.tags.delete(tag)
  }

  put(manifest: NewManifest, tag: string | undefined): void {
    this.buried.delete(manifest.digest)
    this.live.set(manifest.digest, manifest)
    if (tag !== undefined) this.point(tag, manifest.digest)
  }

  /** @param has whether the repository has a blob. */
  bury(digest: Digest, now: number, undeleteMs: number, has: (blob: Digest) => boolean): void {
    const manifest = this.live.get(digest)
    if (manifest === undefined) return
    for (const [tag, named] of this.tags) if (named === digest) this.untag(tag)
    const isThere = (one: Digest) => has(one) || this.live.has(one) || this.buried.has(one)
    const names = new Set(targetsOf(manifest).filter(isThere))
    this.live.delete(digest)
    const goesAt = now + undeleteMs
    this.buried.set(digest, { manifest, deletedAt: now, goesAt, names })
    for (const below of this.#below(digest, false)) {
      const one = this.buried.get(below)
      if (one !== undefined) one.goesAt = Math.max(one.goesAt, goesAt)
    }
  }

  /** With it, what comes back with it. */
  comingBack(digest: Digest): Set<Digest> {
    return this.#below(digest, true)
  }

  isWhole(digest: Digest, has: (blob: Digest) => boolean): boolean {
    const isThere = (one: Digest) => has(one) || this.live.has(one) || this.buried.has(one)
    return [...this.comingBack(digest)].every(each =>
      [...(this.buried.get(each)?.names ?? [])].every(name => isThere(name)),
    )
  }

  restore(digest: Digest): void {
    for (const each of this.comingBack(digest)) {
      const one = this.buried.get(each)
      if (one === undefined) continue
      this.live.set(each, one.manifest)
      this.buried.delete(each)
    }
  }

  isPartOfBuried(digest: Digest): boolean {
    return this.buried.values().some(({ names }) => names.has(digest))
  }

  /** What a purge takes with it. */
  purge(digest: Digest): void {
    const names = this.buried.get(digest)?.names ?? new Set()
    this.buried.delete(digest)
    for (const each of names)
      if (this.buried.has(each) && !this.isPartOfBuried(each) && !this.#isPartOfLive(each)) this.purge(each)
  }

  forget(now: number): void {
    for (;;) {
      const due = this.buried
        .entries()
        .filter(([digest, { goesAt }]) => goesAt <= now && !this.isPartOfBuried(digest))
      const digests = [...due.map(([digest]) => digest)]
      if (digests.length === 0) return
      for (const digest of digests) this.buried.delete(digest)
    }
  }

  #isPartOfLive(digest: Digest): boolean {
    return this.live.values().some(manifest => targetsOf(manifest).includes(digest))
  }

  #below(digest: Digest, withReferrers: boolean): Set<Digest> {
    const found = new Set([digest])
    for (const each of found) {
      const one = this.buried.get(each)
      if (one === undefined) continue
      for (const name of one.names) if (this.buried.has(name)) found.add(name)
      if (!withReferrers) continue
      for (const [other, { manifest, deletedAt }] of this.buried)
        if (subjectOf(manifest) === each && deletedAt >= one.deletedAt) found.add(other)
    }
    return found
  }

  #note(tag: string, digest: Digest | null): void {
    const previous = this.tags.get(tag) ?? null
    if (previous === digest) return
    this.history.set(tag, [{ digest, previous }, ...(this.history.get(tag) ?? [])])
  }
}

export function targetsOf({ edges }: NewManifest): Digest[] {
  return edges.filter(({ role }) => role !== 'subject').map(({ descriptor }) => descriptor.digest)
}

function subjectOf({ edges }: NewManifest): Digest | undefined {
  return edges.find(({ role }) => role === 'subject')?.descriptor.digest
}
