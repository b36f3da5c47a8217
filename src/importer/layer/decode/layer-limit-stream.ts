import { Transform, type TransformCallback } from 'node:stream'
import { layerTooLarge } from '../layer-errors.ts'
import { type LayerLimits, ratioFloorBytes } from '../limits.ts'

/** Passes a layer's uncompressed bytes on until there are too many of them: DomainError `too_large`. */
export class LayerLimitStream extends Transform {
  readonly #limit: { readonly bytes: number; readonly why: string }
  #bytes = 0

  /** @param compressedSize bytes of the blob, which another stream checks. */
  constructor({ maxBytes, maxRatio }: LayerLimits, compressedSize: number) {
    super()
    const byRatio = Math.max(ratioFloorBytes, compressedSize * maxRatio)
    this.#limit =
      byRatio < maxBytes
        ? { bytes: byRatio, why: `it grows to more than ${maxRatio} times its compressed size` }
        : { bytes: maxBytes, why: `it is larger than ${maxBytes} bytes` }
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.#limit.bytes) callback(layerTooLarge(this.#limit.why))
    // Not at once: zlib starts on the next chunk, on a thread of its own, only when whoever takes this one has returned.
    // What follows here is a hash, which takes as long; so both work at the same time.
    else process.nextTick(callback, null, chunk)
  }
}
