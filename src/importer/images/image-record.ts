import type { ChainId } from '../../storage/chain-id.ts'
import { formatPlatform } from '../../storage/platform.ts'
import { formatImageName } from '../../storage/reference.ts'
import type { ResolvedImage } from '../../storage/remote/image-source.ts'
import type { ImageSummary } from '../import-service.ts'
import type { ImageRecord, WholeImageRecord } from './image-catalog.ts'

export function recordOf(image: ResolvedImage, importedAt: Date): WholeImageRecord {
  const { os, architecture, variant } = image.config
  return {
    names: [formatImageName(image.name)],
    manifestDigest: image.manifestDigest,
    configDigest: image.configDigest,
    platform: { os, architecture, variant },
    layers: image.layers.map(({ chainId, diffId, descriptor }) => ({
      chainId,
      diffId,
      blob: descriptor.digest,
      size: descriptor.size,
    })),
    config: Buffer.from(image.configBytes).toString('utf8'),
    importedAt,
  }
}

export function summaryOf(record: ImageRecord, use: ImageUse): ImageSummary {
  return {
    names: record.names,
    manifestDigest: record.manifestDigest,
    configDigest: record.configDigest,
    platform: formatPlatform(record.platform),
    chainId: topChainOf(record),
    layers: record.layers.length,
    size: record.layers.reduce((sum, { size }) => sum + size, 0),
    importedAt: record.importedAt,
    ...use,
  }
}

/** What is known of an image besides its record. */
export type ImageUse = Pick<ImageSummary, 'lastUsedAt' | 'clones'>

/** The chain of all its layers. */
export function topChainOf(record: ImageRecord): ChainId {
  const top = record.layers.at(-1)
  if (top === undefined) throw new Error(`the record of image ${record.manifestDigest} has no layers`)
  return top.chainId
}
