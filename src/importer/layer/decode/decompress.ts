import type { Readable } from 'node:stream'
import Pumpify from 'pumpify'
import { DomainError } from '../../../errors.ts'
import type { Digest, DiffId } from '../../../storage/digest.ts'
import { VerifyStream } from '../../../storage/streams/verify.ts'
import { Decompressor } from './decompressor.ts'
import { layerTooLarge } from '../layer-errors.ts'
import { LayerLimitStream } from './layer-limit-stream.ts'
import type { LayerLimits } from '../limits.ts'

/** What an image promises about one of its layers. */
export interface LayerPromise {
  readonly mediaType: string
  /** Digest of the blob, as it is transferred. */
  readonly blob: Digest
  /** Bytes of the blob. */
  readonly size: number
  /** Digest of the uncompressed tar stream. */
  readonly diffId: DiffId
  /**
   * The diff ID that this host has itself computed from this blob before, never one that somebody told us. It makes a
   * second hash of the tar stream needless: the blob's digest then says it all.
   */
  readonly knownDiffId?: DiffId | undefined
}

/**
 * Makes a layer's blob its tar stream. The stream ends only when blob digest, size and diff ID are as promised;
 * until then nothing that came out of it may be trusted. Its failure, or destroying it, destroys `source`.
 *
 * The stream fails with DomainError `digest_mismatch`, `size_mismatch`, `invalid`, `unsupported` or `too_large`, or with
 * what `source` fails with.
 */
export function openLayerTar(
  source: Readable,
  { mediaType, blob, size, diffId, knownDiffId }: LayerPromise,
  limits: LayerLimits,
): Readable {
  const stream = new Pumpify(
    source,
    new VerifyStream({ digest: blob, size, what: { resource: 'layer' } }),
    new Decompressor(mediaType),
    new LayerLimitStream(limits, size),
    ...(knownDiffId === undefined
      ? [new VerifyStream({ digest: diffId, what: { resource: 'layer', name: diffId } })]
      : []),
  )
  if (knownDiffId !== undefined && knownDiffId !== diffId)
    stream.destroy(
      new DomainError(
        'digest_mismatch',
        `The layer ${blob} has the diff ID ${knownDiffId} where ${diffId} was promised.`,
        { resource: 'layer', name: diffId },
      ),
    )
  // Otherwise a registry could promise so much that it may send for ever, in a form that unpacks to nothing.
  if (size > limits.maxBytes)
    stream.destroy(
      layerTooLarge(`its blob is said to have ${size} bytes; at most ${limits.maxBytes} are read`),
    )
  return stream
}
