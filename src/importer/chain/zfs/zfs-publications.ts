import { isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { ImagePublisher, ImageToPublish, PublishedDataset } from '../../smartos/image-publisher.ts'
import type { ImageUuid } from '../../smartos/image-uuid.ts'
import type { ImgadmDatabase } from '../../smartos/imgadm-database.ts'
import type { DatasetName, DatasetTree } from './dataset-names.ts'
import {
  type FoundPublication,
  finalOf,
  partialDataset,
  publicationDataset,
  readPublications,
  readUnfinished,
} from './publication-datasets.ts'
import {
  beingChanged,
  notPublished,
  publicationInUse,
  publishedOtherwise,
  takenBy,
} from './publication-errors.ts'
import { PublicationLocks } from './publication-locks.ts'
import { PublicationSteps } from './publication-steps.ts'
import type { ZfsCommand } from './zfs-command.ts'

/** What a dead publisher still had under way may come in between, once for each of its commands at most. */
const attempts = 5

export interface ZfsPublicationsParts {
  readonly zfs: ZfsCommand
  readonly tree: DatasetTree
  /** A directory for lock files of its own. */
  readonly locks: string
  /** `undefined` where there is no imgadm. */
  readonly database: ImgadmDatabase | undefined
}

/**
 * Images as clones of chain snapshots, made as imgadm makes its own: as `POOL/UUID-partial`, with `@final`, then renamed. So
 * `POOL/UUID` is whole from the moment on that it is there.
 *
 * Nothing is ever written into them, so whatever command of a publisher that was killed comes late: what it makes has the
 * content that it is named for, or it fails.
 */
export class ZfsPublications implements ImagePublisher {
  readonly #tree: DatasetTree
  readonly #steps: PublicationSteps
  readonly #locks: PublicationLocks
  readonly #database: ImgadmDatabase | undefined

  constructor({ zfs, tree, locks, database }: ZfsPublicationsParts) {
    this.#tree = tree
    this.#steps = new PublicationSteps(zfs, tree)
    this.#locks = new PublicationLocks(locks)
    this.#database = database
  }

  publish(image: ImageToPublish, options: Abortable = {}): Promise<PublishedDataset> {
    return this.#locks.run(image.uuid, () => this.#publish(image, options), options)
  }

  async list(options: Abortable = {}): Promise<PublishedDataset[]> {
    return readPublications(this.#tree, await this.#steps.listPool(1, options))
  }

  unpublish(uuid: ImageUuid, options: Abortable = {}): Promise<void> {
    return this.#locks.run(uuid, () => this.#unpublish(uuid, options), options)
  }

  /** One that cannot be discarded keeps none of the others from it; the first failure is thrown at the end. */
  async reclaim(options: Abortable = {}): Promise<number> {
    const listing = await this.#steps.listPool(2, options)
    const unfinished = readUnfinished(this.#tree, listing)
    const published = new Set(readPublications(this.#tree, listing).map(({ uuid }) => uuid))
    const recorded = (await this.#database?.list(this.#tree.pool)) ?? []
    const failures: unknown[] = []
    let count = 0
    for (const uuid of new Set([...unfinished, ...recorded.filter(one => !published.has(one))])) {
      options.signal?.throwIfAborted()
      try {
        const settled = await this.#locks.attempt(uuid, () => this.#settle(uuid))
        if (settled && unfinished.includes(uuid)) count += 1
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
    return count
  }

  async #publish(image: ImageToPublish, options: Abortable): Promise<PublishedDataset> {
    const { uuid, manifest, snapshot } = image
    const dataset = publicationDataset(this.#tree, uuid)
    for (let attempt = 0; attempt < attempts; attempt++) {
      const there = await this.#steps.read(dataset, options)
      if (there.kind === 'taken') throw takenBy(uuid, there)
      if (there.kind === 'ours' && there.chain !== snapshot.chain) throw publishedOtherwise(uuid, there)
      if (there.kind === 'ours' && there.whole) {
        await this.#database?.put(this.#tree.pool, manifest)
        return { uuid, dataset, snapshot: finalOf(dataset), chain: snapshot.chain }
      }
      if (there.kind === 'ours') await this.#complete(there)
      else await this.#make(image, dataset, options)
    }
    throw beingChanged(dataset, uuid)
  }

  /** Makes it, or finds that something came between and has to be looked at. */
  async #make(
    { uuid, manifest, snapshot }: ImageToPublish,
    dataset: DatasetName,
    options: Abortable,
  ): Promise<void> {
    const partial = partialDataset(this.#tree, uuid)
    const left = await this.#steps.read(partial, options)
    if (left.kind === 'taken') throw takenBy(uuid, left)
    if (left.kind === 'ours') await this.#steps.discard(left)
    try {
      await this.#steps.clone(snapshot.location, partial, snapshot.chain, options)
      await this.#steps.takeFinal(partial, snapshot.chain, options)
      await this.#database?.put(this.#tree.pool, manifest)
      await this.#steps.rename(partial, dataset, options)
    } catch (error) {
      // What cannot be discarded now is found by the next start; what went wrong first is what the caller is told.
      await this.#settle(uuid).catch(() => undefined)
      const cameBetween = isDomainError(error, 'already_exists', 'not_found')
      if (!cameBetween || !(await this.#steps.hasSnapshot(snapshot.location))) throw error
    }
  }

  /** The first step is one that ZFS refuses while anything was made from it; until then nothing is changed. */
  async #unpublish(uuid: ImageUuid, options: Abortable): Promise<void> {
    const there = await this.#steps.read(publicationDataset(this.#tree, uuid), options)
    if (there.kind === 'ours') {
      if (there.strangers.length > 0) throw publicationInUse(uuid, there.strangers)
      await this.#destroyFinal(uuid, there, options)
      await this.#destroyRest(uuid, there)
    }
    await this.#settle(uuid)
    if (there.kind !== 'ours') throw notPublished(uuid, there)
  }

  async #destroyFinal(uuid: ImageUuid, { dataset }: FoundPublication, options: Abortable): Promise<void> {
    try {
      await this.#steps.destroy(finalOf(dataset), options)
    } catch (error) {
      if (!isDomainError(error, 'conflict')) throw error
      throw publicationInUse(uuid, await this.#steps.madeFrom(dataset), error)
    }
  }

  /** It has its `@final` back when a zone was made from its head just now, or when somebody has mounted it. */
  async #destroyRest(uuid: ImageUuid, { dataset, chain }: FoundPublication): Promise<void> {
    try {
      await this.#steps.destroy(dataset)
    } catch (error) {
      // Whoever has it now is told by the next look; what went wrong first is what the caller is told.
      await this.#steps.takeFinal(dataset, chain).catch(() => undefined)
      if (!isDomainError(error, 'conflict')) throw error
      throw publicationInUse(uuid, await this.#steps.madeFrom(dataset), error)
    }
  }

  /** Ends what was begun with an image and not ended. Whoever calls this has its lock. */
  async #settle(uuid: ImageUuid): Promise<void> {
    const dataset = publicationDataset(this.#tree, uuid)
    const partial = await this.#steps.read(partialDataset(this.#tree, uuid))
    if (partial.kind === 'ours') await this.#steps.discard(partial)
    let there = await this.#steps.read(dataset)
    if (there.kind === 'ours' && !there.whole) {
      await this.#complete(there)
      there = await this.#steps.read(dataset)
    }
    // Another store of the pool, or imgadm, may be about to rename its own.
    if (there.kind === 'absent' && partial.kind !== 'taken')
      await this.#database?.delete(this.#tree.pool, uuid)
  }

  /** Destroys a publication without `@final`, which nobody has been told of; or gives it one, when somebody uses it. */
  async #complete(there: FoundPublication): Promise<void> {
    try {
      await this.#steps.discard(there)
    } catch (error) {
      if (!isDomainError(error, 'conflict') || there.strangers.includes(finalOf(there.dataset))) throw error
      await this.#steps.takeFinal(there.dataset, there.chain)
    }
  }
}
