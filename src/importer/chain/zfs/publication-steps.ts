import { isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { ChainId } from '../../../storage/chain-id.ts'
import type { DatasetName, DatasetTree } from './dataset-names.ts'
import { type Listed, listingArgs, optionArgs, parseListing } from './properties.ts'
import {
  type Found,
  type FoundPublication,
  finalOf,
  markOf,
  publicationProperties,
  publicationPropertiesOf,
  readFound,
} from './publication-datasets.ts'
import type { ZfsCommand } from './zfs-command.ts'
import type { Subject } from './zfs-errors.ts'

/**
 * What can be done to the datasets of publications, one small step each. Who may do it is decided elsewhere: every change
 * needs the image's lock.
 */
export class PublicationSteps {
  readonly #zfs: ZfsCommand
  readonly #tree: DatasetTree

  constructor(zfs: ZfsCommand, tree: DatasetTree) {
    this.#zfs = zfs
    this.#tree = tree
  }

  /** With its snapshots. */
  async read(dataset: DatasetName, options: Abortable = {}): Promise<Found> {
    return readFound(this.#tree, dataset, await this.#list(dataset, ['-r'], options))
  }

  /** The pool's own children, and with a depth of 2 their snapshots. */
  async listPool(depth: 1 | 2, options: Abortable = {}): Promise<Listed[]> {
    return await this.#list(this.#tree.pool, ['-r', '-d', String(depth)], options)
  }

  async hasSnapshot(location: string): Promise<boolean> {
    return (await this.#list(location, [], {})).length > 0
  }

  /** @throws DomainError `already_exists`; `not_found` when the snapshot is gone. */
  async clone(location: string, dataset: DatasetName, chain: ChainId, options: Abortable): Promise<void> {
    const properties = optionArgs(publicationPropertiesOf(this.#tree, chain))
    await this.#zfs.change(subjectOf(dataset), ['clone', ...properties, location, dataset], options)
  }

  /** @throws DomainError `already_exists`; `not_found` when the dataset is gone. */
  async takeFinal(dataset: DatasetName, chain: ChainId, options: Abortable = {}): Promise<void> {
    const properties = optionArgs(markOf(this.#tree, chain))
    await this.#zfs.change(subjectOf(dataset), ['snapshot', ...properties, finalOf(dataset)], options)
  }

  /** Its snapshot moves along. @throws DomainError `already_exists`; `not_found` when the dataset is gone. */
  async rename(dataset: DatasetName, to: DatasetName, options: Abortable): Promise<void> {
    await this.#zfs.change(subjectOf(dataset), ['rename', dataset, to], options)
  }

  /** Never with `-r`: a snapshot that somebody else took keeps it. @throws DomainError `conflict`. */
  async discard({ dataset, strangers }: FoundPublication): Promise<void> {
    if (!strangers.includes(finalOf(dataset))) await this.destroy(finalOf(dataset))
    await this.destroy(dataset)
  }

  /** Absent is success. @throws DomainError `conflict` for what something was made from. */
  async destroy(name: string, options: Abortable = {}): Promise<void> {
    try {
      await this.#zfs.change(subjectOf(name), ['destroy', name], options)
    } catch (error) {
      if (!isDomainError(error, 'not_found')) throw error
    }
  }

  /** What was cloned from it, wherever in the pool. Only for a sentence: it lists the whole pool. */
  async madeFrom(dataset: DatasetName): Promise<string[]> {
    const args = [...listingArgs(['origin'], '-r'), this.#tree.pool]
    const listing = parseListing(await this.#zfs.read(subjectOf(dataset), args))
    return listing.filter(listed => listed.get('origin')?.startsWith(`${dataset}@`)).map(({ name }) => name)
  }

  async #list(name: string, flags: readonly string[], options: Abortable): Promise<Listed[]> {
    const args = [...listingArgs(publicationProperties, ...flags), name]
    try {
      return parseListing(await this.#zfs.read(subjectOf(name), args, options))
    } catch (error) {
      if (isDomainError(error, 'not_found')) return []
      throw error
    }
  }
}

function subjectOf(name: string): Subject {
  return { resource: 'image', name }
}
