import { DomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { ChainStore } from '../chain/chain-store.ts'
import { unknownChain } from '../chain/chain-rules.ts'
import type { PublishedImage } from '../import-service.ts'
import type { ImagePublisher, PublishedDataset } from '../smartos/image-publisher.ts'
import { imageUuidOf } from '../smartos/image-uuid.ts'
import type { ImageRecord, WholeImageRecord } from './image-catalog.ts'
import { topChainOf } from './image-record.ts'
import { tritonImageOfRecord } from './record-for-triton.ts'

/** @throws DomainError `unsupported` where nothing can be published. */
export function publisherOf(chains: ChainStore): ImagePublisher {
  if (chains.publisher !== undefined) return chains.publisher
  throw new DomainError(
    'unsupported',
    `Images of SmartOS are ZFS datasets, and this is ${chains.description}; name a pool with --pool.`,
    { resource: 'pool' },
  )
}

/** @throws DomainError as `ImportService.publish`. */
export async function publishImage(
  chains: ChainStore,
  record: WholeImageRecord,
  options: Abortable & { readonly kernelVersion?: string | undefined } = {},
): Promise<PublishedDataset> {
  const publisher = publisherOf(chains)
  const { names, platform } = record
  const triton = tritonImageOfRecord(record, { kernelVersion: options.kernelVersion })
  if (triton === undefined)
    throw new DomainError(
      'unsupported',
      `The image ${names[0] ?? record.manifestDigest} is for ${platform.os}; an LX zone runs images for linux only.`,
      { resource: 'image', name: record.manifestDigest },
    )
  const snapshot = await chains.find(topChainOf(record), options)
  if (snapshot === undefined) throw unknownChain(topChainOf(record))
  const { manifest } = triton
  return await publisher.publish({ uuid: manifest.uuid, manifest, snapshot }, options)
}

/** With the names of the images that have these very layers. */
export function publishedImageOf(
  { uuid, dataset, snapshot, chain }: PublishedDataset,
  records: readonly ImageRecord[],
): PublishedImage {
  const same = records.filter(
    ({ layers }) => layers.length > 0 && imageUuidOf(layers.map(({ blob }) => blob)) === uuid,
  )
  return { uuid, dataset, snapshot, chainId: chain, names: same.flatMap(({ names }) => names) }
}
