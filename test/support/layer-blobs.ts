import { Readable } from 'node:stream'
import type { LayerPromise } from '../../src/importer/layer/decode/decompress.ts'
import { digestOf, parseDiffId } from '../../src/storage/digest.ts'
import { gzipOf } from './tar.ts'

export const gzipLayer = 'application/vnd.oci.image.layer.v1.tar+gzip'
export const zstdLayer = 'application/vnd.oci.image.layer.v1.tar+zstd'
export const plainLayer = 'application/vnd.oci.image.layer.v1.tar'

/** A layer as a registry has it. */
export interface LayerBlob {
  readonly bytes: Buffer
  readonly promise: LayerPromise
}

/** @param bytes the tar stream as it is transferred; its gzip unless given. */
export function layerBlob(tar: Uint8Array, bytes: Buffer = gzipOf(tar), mediaType = gzipLayer): LayerBlob {
  const promise = { mediaType, blob: digestOf(bytes), size: bytes.length, diffId: parseDiffId(digestOf(tar)) }
  return { bytes, promise }
}

/** As it comes from a connection: in chunks. */
export function sourceOf(bytes: Buffer, chunkBytes = 16 * 1024): Readable {
  const chunks = Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_, index) =>
    bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes),
  )
  return Readable.from(chunks, { objectMode: false })
}

/** A source that gives these bytes and then nothing, not even an end. */
export function stalledSource(bytes: Uint8Array = new Uint8Array()): Readable {
  const source = new Readable({ read() {} })
  if (bytes.length > 0) source.push(bytes)
  return source
}
