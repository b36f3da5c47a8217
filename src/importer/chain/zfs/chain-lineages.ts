import { isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { ChainLineage, LineageSnapshot } from '../chain-store.ts'
import { isUnfinished, type Lineage, readLineages } from './chain-index.ts'
import type { DatasetTree } from './dataset-names.ts'
import { lineageProperties, type Listed, listingArgs, parseListing } from './properties.ts'
import type { ZfsCommand } from './zfs-command.ts'

const datedProperties: readonly string[] = [...lineageProperties, 'origin', 'creation']

/**
 * What was written between the snapshot before (or the origin) and this one, and is still referenced by it: zfsprops(7),
 * `written`. Every block is counted with the one snapshot that it was born before, so that removing the newest gives just
 * these back. Unlike `used`, which of a snapshot is only what no other one shares.
 */
const spaceProperty = 'written'

/** As `ChainStore.lineages`, from one listing. Not from the index, which has neither times nor sizes. */
export class ChainLineages {
  readonly #zfs: ZfsCommand
  readonly #tree: DatasetTree
  /** Until the pool's ZFS turns out not to know the property. */
  #asksForSpace = true

  constructor(zfs: ZfsCommand, tree: DatasetTree) {
    this.#zfs = zfs
    this.#tree = tree
  }

  async list(options: Abortable = {}): Promise<ChainLineage[]> {
    const listing = await this.#read(options)
    const listedBy = new Map(listing.map(listed => [listed.name, listed]))
    return readLineages(this.#tree, listing)
      .map(lineage => withDates(lineage, listedBy))
      .toSorted((left, right) => (left.dataset < right.dataset ? -1 : 1))
  }

  async #read(options: Abortable): Promise<Listed[]> {
    if (this.#asksForSpace)
      try {
        return await this.#list([...datedProperties, spaceProperty], options)
      } catch (error) {
        // zfs-fuse: "invalid property 'written'".
        if (!isDomainError(error, 'invalid')) throw error
        this.#asksForSpace = false
      }
    return await this.#list(datedProperties, options)
  }

  async #list(properties: readonly string[], options: Abortable): Promise<Listed[]> {
    const args = [...listingArgs(properties, '-r'), this.#tree.chains]
    const subject = { resource: 'chain', name: this.#tree.chains } as const
    return parseListing(await this.#zfs.read(subject, args, options))
  }
}

function withDates(lineage: Lineage, listedBy: ReadonlyMap<string, Listed>): ChainLineage {
  const { dataset, snapshots } = lineage
  return {
    dataset,
    origin: listedBy.get(dataset)?.get('origin'),
    unfinished: isUnfinished(lineage),
    snapshots: snapshots.map((snapshot): LineageSnapshot => {
      const listed = listedBy.get(snapshot.location)
      return {
        ...snapshot,
        createdAt: new Date(numberIn(listed, 'creation', 0) * 1000),
        usedBytes: numberIn(listed, spaceProperty, snapshot.facts.bytes),
      }
    }),
  }
}

function numberIn(listed: Listed | undefined, property: string, otherwise: number): number {
  const text = listed?.get(property)
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : otherwise
}
