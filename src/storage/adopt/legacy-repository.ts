import type { Digest } from '../digest.ts'
import type { Tag } from '../reference.ts'
import { type LegacyFact, legacyPaths, placeOf } from './legacy-layout.ts'
import type { LegacyEntry, LegacyFile, LegacyRefusal } from './legacy-store.ts'

/** All that the paths of one repository say. */
export interface LegacyRepository {
  /** As the directory is called, which need not be a legal name. */
  readonly name: string
  /** Links to blobs, by the digest in their path. */
  readonly layers: ReadonlyMap<Digest, LegacyFile>
  readonly revisions: ReadonlyMap<Digest, LegacyFile>
  readonly tags: ReadonlyMap<Tag, LegacyFile>
  /** Sessions that have not ended. */
  readonly uploads: number
  readonly refusals: readonly LegacyRefusal[]
}

/** What a walk through the repositories finds, one after another. */
export type LegacyFinding =
  | { readonly kind: 'repository'; readonly repository: LegacyRepository }
  /** Of no repository. */
  | LegacyRefusal

/** Gathers the files of a listing, where those of one repository come together. */
export async function* repositoriesIn(
  entries: AsyncIterable<LegacyEntry> | Iterable<LegacyEntry>,
): AsyncGenerator<LegacyFinding> {
  let gathered: Gathering | undefined
  for await (const entry of entries) {
    const place = placeOf(entry.path.slice(legacyPaths.repositories.length))
    if (place === undefined) {
      // A stray file has nothing to say. What is not read might have.
      if (entry.kind === 'refusal') yield entry
      continue
    }
    if (gathered?.name !== place.repository) {
      if (gathered !== undefined) yield { kind: 'repository', repository: gathered }
      gathered = new Gathering(place.repository)
    }
    gathered.add(entry, place.fact)
  }
  if (gathered !== undefined) yield { kind: 'repository', repository: gathered }
}

class Gathering implements LegacyRepository {
  readonly name: string
  readonly layers = new Map<Digest, LegacyFile>()
  readonly revisions = new Map<Digest, LegacyFile>()
  readonly tags = new Map<Tag, LegacyFile>()
  readonly refusals: LegacyRefusal[] = []
  readonly #uploads = new Set<string>()

  constructor(name: string) {
    this.name = name
  }

  get uploads(): number {
    return this.#uploads.size
  }

  add(entry: LegacyEntry, fact: LegacyFact): void {
    if (fact.kind === 'upload') this.#uploads.add(fact.id)
    else if (entry.kind === 'refusal') this.refusals.push(entry)
    else if (fact.kind === 'layer') this.layers.set(fact.digest, entry)
    else if (fact.kind === 'revision') this.revisions.set(fact.digest, entry)
    else if (fact.kind === 'tag') this.tags.set(fact.tag, entry)
    else if (fact.kind === 'nonsense')
      this.refusals.push({ kind: 'refusal', path: entry.path, reason: fact.reason })
  }
}
