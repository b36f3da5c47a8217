import type { ChainId } from '../../../storage/chain-id.ts'
import type { DiffId, Digest } from '../../../storage/digest.ts'
import type { ChainSnapshot } from '../chain-store.ts'
import { asLineage, type DatasetName, type DatasetTree, splitSnapshot } from './dataset-names.ts'
import { type Listed, parseFacts, roleProperty, unfinishedProperty } from './properties.ts'

/** One dataset with its chain of snapshots, as the pool's properties describe it. */
export interface Lineage {
  readonly dataset: DatasetName
  /** Somebody began to build here and did not end it: the head need not be the newest snapshot. */
  readonly unfinished: boolean
  /** Our complete snapshots, oldest first. */
  readonly snapshots: readonly ChainSnapshot[]
  /** How many holds there are on each of them, by its location; absent for one of which that is not known. */
  readonly holds: ReadonlyMap<string, number>
  /** A snapshot of somebody else is newer than ours, so that the head cannot be rolled back to ours. */
  readonly covered: boolean
}

/** The snapshot that the head of a lineage began from, and the only one that it can be rolled back to. */
export function newestOf(lineage: Lineage): ChainSnapshot | undefined {
  return lineage.snapshots.at(-1)
}

/** Snapshots that a builder which was killed, or an older version, has left without a hold. */
export function unheldOf({ snapshots, holds }: Lineage): string[] {
  return snapshots.map(({ location }) => location).filter(location => holds.get(location) === 0)
}

/** Nothing of it can be used: begun and not ended, or never ended with even one snapshot. */
export function isUnfinished(lineage: Lineage): boolean {
  return lineage.unfinished || lineage.snapshots.length === 0
}

/** The lineages of a listing of `tree.chains`. What does not carry our mark is not there for us. */
export function readLineages(tree: DatasetTree, listing: readonly Listed[]): Lineage[] {
  const snapshotsOf = Map.groupBy(
    listing.filter(({ name }) => name.includes('@')),
    ({ name }) => splitSnapshot(name)?.dataset,
  )
  return listing.flatMap(listed => {
    const dataset = asLineage(tree, listed.name)
    if (dataset === undefined || listed.local(roleProperty) !== 'lineage') return []
    return [readLineage(dataset, listed, snapshotsOf.get(listed.name) ?? [])]
  })
}

function readLineage(dataset: DatasetName, listed: Listed, snapshots: readonly Listed[]): Lineage {
  const inOrder = snapshots.toSorted((left, right) => createdIn(left) - createdIn(right)).map(toSnapshot)
  return {
    dataset,
    unfinished: listed.local(unfinishedProperty) !== undefined,
    snapshots: inOrder.filter(snapshot => snapshot !== undefined),
    holds: new Map(snapshots.map(snapshot => [snapshot.name, Number(snapshot.get('userrefs') ?? 0)])),
    covered: inOrder.length > 0 && inOrder.at(-1) === undefined,
  }
}

function toSnapshot(listed: Listed): ChainSnapshot | undefined {
  const known = parseFacts(listed)
  return known && { kind: 'snapshot', ...known }
}

/**
 * The transaction group that a snapshot was made in: a strict order within one dataset, as seconds are not.
 */
function createdIn(listed: Listed): number {
  return Number(listed.get('createtxg') ?? 0)
}

/**
 * What the pool holds, in memory, so that looking up a chain costs no command. Built from one listing and
 * kept up to date by whoever changes the pool; other processes' changes show after the next listing.
 */
export class ChainIndex {
  readonly #lineages = new Map<string, Lineage>()
  /** More than one lineage can hold a chain when two processes built it at the same time. */
  readonly #copies = new Map<ChainId, ChainSnapshot[]>()
  /** How many snapshots say so, for each blob. */
  readonly #diffIds = new Map<Digest, { readonly diffId: DiffId; count: number }>()
  /** For each refresh that is running, what has changed since it began. */
  readonly #refreshing = new Set<Set<string>>()

  /**
   * Takes over a new listing. What this process changes while the listing is being read is newer than the
   * listing and stays.
   */
  async refresh(list: () => Promise<readonly Lineage[]>): Promise<void> {
    const changed = new Set<string>()
    this.#refreshing.add(changed)
    try {
      const listed = await list()
      const there = new Set<string>(listed.map(({ dataset }) => dataset))
      for (const dataset of [...this.#lineages.keys()])
        if (!there.has(dataset) && !changed.has(dataset)) this.#forget(dataset)
      for (const lineage of listed) if (!changed.has(lineage.dataset)) this.#remember(lineage)
    } finally {
      this.#refreshing.delete(changed)
    }
  }

  put(lineage: Lineage): void {
    this.#changing(lineage.dataset)
    this.#remember(lineage)
  }

  delete(dataset: DatasetName): void {
    this.#changing(dataset)
    this.#forget(dataset)
  }

  /** The same one for the same pool, whatever the order of the listing. */
  find(chain: ChainId): ChainSnapshot | undefined {
    return this.copies(chain).toSorted((left, right) => (left.location < right.location ? -1 : 1))[0]
  }

  copies(chain: ChainId): readonly ChainSnapshot[] {
    return this.#copies.get(chain) ?? []
  }

  has(dataset: DatasetName): boolean {
    return this.#lineages.has(dataset)
  }

  lineages(): Lineage[] {
    return [...this.#lineages.values()]
  }

  lineageOf(snapshot: ChainSnapshot): Lineage | undefined {
    return this.#lineages.get(splitSnapshot(snapshot.location)?.dataset ?? '')
  }

  /** Every chain once. */
  snapshots(): ChainSnapshot[] {
    return [...this.#copies.keys()].flatMap(chain => this.find(chain) ?? [])
  }

  /** A chain that has one more layer than `chain`, if there is any. */
  longerThan(chain: ChainId): ChainSnapshot | undefined {
    return this.snapshots().find(({ facts }) => facts.parent === chain)
  }

  /** Of the layer that a blob is. */
  diffIdOf(blob: Digest): DiffId | undefined {
    return this.#diffIds.get(blob)?.diffId
  }

  #changing(dataset: DatasetName): void {
    for (const changed of this.#refreshing) changed.add(dataset)
  }

  #remember(lineage: Lineage): void {
    this.#forget(lineage.dataset)
    this.#lineages.set(lineage.dataset, lineage)
    for (const snapshot of lineage.snapshots) {
      const { diffId, blob } = snapshot.facts
      this.#copies.set(snapshot.chain, [...this.copies(snapshot.chain), snapshot])
      this.#diffIds.set(blob, { diffId, count: (this.#diffIds.get(blob)?.count ?? 0) + 1 })
    }
  }

  #forget(dataset: string): void {
    const snapshots = this.#lineages.get(dataset)?.snapshots ?? []
    this.#lineages.delete(dataset)
    for (const { chain, location, facts } of snapshots) {
      const rest = this.copies(chain).filter(copy => copy.location !== location)
      if (rest.length > 0) this.#copies.set(chain, rest)
      else this.#copies.delete(chain)
      const known = this.#diffIds.get(facts.blob)
      if (known !== undefined && --known.count === 0) this.#diffIds.delete(facts.blob)
    }
  }
}
