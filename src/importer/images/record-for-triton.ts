import { parseImageConfig } from '../../storage/image-config.ts'
import { type TritonImage, type TritonImageParts, tritonImageOf } from '../smartos/triton-image.ts'
import type { WholeImageRecord } from './image-catalog.ts'

/** What the record of an image does not say. */
export type TritonOptions = Pick<TritonImageParts, 'quota' | 'kernelVersion'>

/** A recorded image as Triton knows it; undefined for what no LX zone can run. */
export function tritonImageOfRecord(
  record: WholeImageRecord,
  options: TritonOptions,
): TritonImage | undefined {
  const { names, configDigest, importedAt, layers } = record
  return tritonImageOf({
    name: names[0],
    config: parseImageConfig(Buffer.from(record.config)),
    configDigest,
    blobs: layers.map(({ blob }) => blob),
    importedAt,
    quota: options.quota,
    kernelVersion: options.kernelVersion,
  })
}
