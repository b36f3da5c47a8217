import type { Abortable } from '../../../storage/abortable.ts'
import type { BlobBody, BlobInfo, BlobProvider, OpenBlobOptions } from '../../../storage/blobs/blob-store.ts'
import type { Digest } from '../../../storage/digest.ts'
import { selectRange } from '../../../storage/objects/byte-range.ts'
import { abortWith } from '../../../storage/streams/abort-with.ts'
import type { GrowingBlob } from './growing-blob.ts'
import type { ReaderKind } from './growing-reader.ts'
import { type GoOn, GrowingStream } from './growing-stream.ts'

export interface GrowingSource {
  readonly growing: GrowingBlob
  readonly kind: ReaderKind
  readonly goOn: GoOn
  /** How long a first byte is waited for before there is an answer without one. */
  readonly answerWithinMs: number
}

/**
 * A blob that grows, as the handlers know blobs. `open` waits for the first of the bytes that are wanted, so that what
 * fails before it is told as a failure; what fails later breaks the answer off.
 */
export class GrowingProvider implements BlobProvider {
  readonly #source: GrowingSource

  constructor(source: GrowingSource) {
    this.#source = source
  }

  stat(_digest: Digest, { signal }: Abortable = {}): Promise<BlobInfo> {
    signal?.throwIfAborted()
    return Promise.resolve(this.#source.growing.blob)
  }

  async open(_digest: Digest, { range, signal }: OpenBlobOptions = {}): Promise<BlobBody> {
    const { growing, kind, goOn, answerWithinMs } = this.#source
    const { blob } = growing
    const { first, length } = selectRange(blob.size, range, { resource: 'blob', name: blob.digest })
    const reader = growing.attach(first, kind)
    try {
      await orSoon(aborts => reader.ready(aborts), answerWithinMs, { signal })
    } catch (error) {
      reader[Symbol.dispose]()
      throw error
    }
    return { ...blob, stream: abortWith(new GrowingStream(reader, first + length - 1, goOn), signal) }
  }

  presign(): Promise<undefined> {
    return Promise.resolve(undefined)
  }
}

/** Waits for it, but not for ever. */
async function orSoon(
  work: (options: Abortable) => Promise<void>,
  withinMs: number,
  { signal }: Abortable,
): Promise<void> {
  const enough = new AbortController()
  const timer = setTimeout(() => enough.abort(), withinMs)
  const ends = AbortSignal.any([enough.signal, ...(signal === undefined ? [] : [signal])])
  try {
    await work({ signal: ends })
  } catch (error) {
    signal?.throwIfAborted()
    if (!enough.signal.aborted || error !== enough.signal.reason) throw error
  } finally {
    clearTimeout(timer)
  }
}
