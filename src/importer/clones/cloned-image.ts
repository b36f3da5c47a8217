import { DomainError } from '../../errors.ts'
import { parseImageConfig } from '../../storage/image-config.ts'
import type { Clone } from '../chain/chain-store.ts'
import type { ImageRecord, WholeImageRecord } from '../images/image-catalog.ts'
import { topChainOf } from '../images/image-record.ts'
import { tritonImageOfRecord } from '../images/record-for-triton.ts'
import type { ClonedImage } from '../import-service.ts'
import { imageProcess } from '../process/image-process.ts'

/** A clone with all that a provisioner needs to run its image. Looks up the user in the clone's own tree. */
export function clonedImageOf(clone: Clone, record: WholeImageRecord, kernelVersion?: string): ClonedImage {
  const { names, manifestDigest } = record
  const config = parseImageConfig(Buffer.from(record.config))
  const { quota } = clone
  return {
    ...clone,
    image: names[0] ?? manifestDigest,
    manifestDigest,
    config: JSON.parse(record.config) as unknown,
    process: config.process,
    run: imageProcess(clone.rootfs, config.process),
    triton: tritonImageOfRecord(record, { quota, kernelVersion }),
  }
}

/**
 * The image that a clone was made of; for a clone that does not say it, or whose image is gone, one with the same layers.
 * @throws DomainError `not_found` when none is recorded.
 */
export function imageOfClone(clone: Clone, records: readonly ImageRecord[]): ImageRecord {
  const image =
    records.find(({ manifestDigest }) => manifestDigest === clone.manifestDigest) ??
    records.find(record => topChainOf(record) === clone.chain)
  if (image !== undefined) return image
  throw new DomainError(
    'not_found',
    `The image that clone ${clone.name} was made of is no longer recorded here; import it again.`,
    { resource: 'image', name: clone.manifestDigest ?? clone.chain },
  )
}
