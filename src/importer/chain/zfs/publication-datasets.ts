import { isDomainError } from '../../../errors.ts'
import { type ChainId, parseChainId } from '../../../storage/chain-id.ts'
import { type ImageUuid, isImageUuid } from '../../smartos/image-uuid.ts'
import type { PublishedDataset } from '../../smartos/image-publisher.ts'
import { childOf, type DatasetName, type DatasetTree } from './dataset-names.ts'
import { chainProperty, type Listed, roleProperty } from './properties.ts'

/*
 * Publications are beside the store, for SmartOS looks for images there and nowhere else:
 *
 *   POOL/UUID                 a clone of some LINEAGE@CHAIN, with
 *            @final           the one snapshot that zones are cloned from
 *   POOL/UUID-partial         one that is being made: imgadm's own name for that
 */

/** The dataset of the store that has published it: a pool can have several stores. */
export const storeProperty = 'varve:store'

/** All that is asked about what may be a publication. */
export const publicationProperties: readonly string[] = [roleProperty, storeProperty, chainProperty]

const partialSuffix = '-partial'
const finalSnapshot = 'final'

/**
 * imgadm sets nothing, so that its images are mounted below the pool with whatever the pool allows. Ours is only ever
 * cloned, and a zone's dataset has its properties from the pool and from `vmadm`, none from what it is a clone of. So here:
 * - never mounted: all that reads files of an image before there is a zone is the check of the brand `joyent`, and at boot there
 *   is one mount less for each image. Whoever mounts it by hand finds nothing there that runs, or opens a device;
 * - `readonly`, so that its head is what `@final` is: some brands take a snapshot of their own of the head for each zone;
 * - no snapshots by a timer, which would keep it from being unpublished.
 */
const safeProperties: Readonly<Record<string, string>> = {
  canmount: 'off',
  readonly: 'on',
  devices: 'off',
  setuid: 'off',
  exec: 'off',
  'com.sun:auto-snapshot': 'false',
}

/** What a publication is made with: its mark among it. */
export function publicationPropertiesOf(tree: DatasetTree, chain: ChainId): Record<string, string> {
  return { ...safeProperties, ...markOf(tree, chain) }
}

/** What `@final` is made with: what a snapshot inherits is no mark. */
export function markOf(tree: DatasetTree, chain: ChainId): Record<string, string> {
  return { [roleProperty]: 'publication', [storeProperty]: tree.root, [chainProperty]: chain }
}

export function publicationDataset({ pool }: DatasetTree, uuid: ImageUuid): DatasetName {
  return `${pool}/${uuid}` as DatasetName
}

export function partialDataset({ pool }: DatasetTree, uuid: ImageUuid): DatasetName {
  return `${pool}/${uuid}${partialSuffix}` as DatasetName
}

export function finalOf(dataset: string): string {
  return `${dataset}@${finalSnapshot}`
}

/** A dataset that was read with its snapshots. */
export type Found = FoundPublication | { readonly kind: 'absent' } | Taken

export interface FoundPublication {
  readonly kind: 'ours'
  readonly dataset: DatasetName
  readonly chain: ChainId
  /** It has its `@final`, made by us of this chain. */
  readonly whole: boolean
  /** Snapshots that somebody else took of it. */
  readonly strangers: readonly string[]
}

/** What does not belong to this store. */
export interface Taken {
  readonly kind: 'taken'
  readonly dataset: DatasetName
  /** Dataset of the store that has published it. */
  readonly store?: string | undefined
  /** It looks as images of imgadm do. */
  readonly hasFinal: boolean
}

/** @param listing of the dataset and its snapshots. */
export function readFound(tree: DatasetTree, dataset: DatasetName, listing: readonly Listed[]): Found {
  const listed = listing.find(({ name }) => name === dataset)
  if (listed === undefined) return { kind: 'absent' }
  const snapshots = listing.filter(({ name }) => name.startsWith(`${dataset}@`))
  const final = snapshots.find(({ name }) => name === finalOf(dataset))
  const chain = chainOf(tree, listed)
  if (chain === undefined)
    return { kind: 'taken', dataset, store: otherStoreOf(listed), hasFinal: final !== undefined }
  const whole = final !== undefined && chainOf(tree, final) === chain
  const strangers = snapshots.filter(snapshot => !whole || snapshot !== final).map(({ name }) => name)
  return { kind: 'ours', dataset, chain, whole, strangers }
}

/** The publications of a listing of the pool's own children, in byte order. */
export function readPublications(tree: DatasetTree, listing: readonly Listed[]): PublishedDataset[] {
  return listing
    .flatMap((listed): PublishedDataset[] => {
      const uuid = childOf(tree.pool, listed.name)
      const chain = chainOf(tree, listed)
      if (uuid === undefined || chain === undefined || !isImageUuid(uuid)) return []
      const dataset = publicationDataset(tree, uuid)
      return [{ uuid, dataset, snapshot: finalOf(dataset), chain }]
    })
    .toSorted((left, right) => (left.uuid < right.uuid ? -1 : 1))
}

/** The images whose making, or removal, has not come to its end, of a listing that goes down to their snapshots. */
export function readUnfinished(tree: DatasetTree, listing: readonly Listed[]): ImageUuid[] {
  const ours = new Set(listing.filter(listed => chainOf(tree, listed) !== undefined).map(({ name }) => name))
  const uuids = [...ours].flatMap(name => {
    const child = childOf(tree.pool, name)
    if (child === undefined) return []
    const isPartial = child.endsWith(partialSuffix)
    if (!isPartial && ours.has(finalOf(name))) return []
    const uuid = isPartial ? child.slice(0, -partialSuffix.length) : child
    return isImageUuid(uuid) ? [uuid] : []
  })
  return [...new Set(uuids)]
}

/** The chain of what carries the mark of this very store. */
function chainOf(tree: DatasetTree, listed: Listed): ChainId | undefined {
  const chain = listed.local(chainProperty)
  if (listed.local(roleProperty) !== 'publication' || listed.local(storeProperty) !== tree.root)
    return undefined
  try {
    return chain === undefined ? undefined : parseChainId(chain)
  } catch (error) {
    // Text that is no chain ID was not written by us.
    if (isDomainError(error, 'invalid')) return undefined
    throw error
  }
}

function otherStoreOf(listed: Listed): string | undefined {
  return listed.local(roleProperty) === 'publication' ? listed.local(storeProperty) : undefined
}
