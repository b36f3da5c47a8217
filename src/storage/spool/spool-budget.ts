import { type Abortable, orAbort } from '../abortable.ts'

export interface SpoolLimits {
  /** Bytes of all blobs together. */
  readonly maxBytes: number
  /** Blobs that are being downloaded at once. */
  readonly downloads: number
}

/** Each is an open file, and a process may have only so many. */
const maxBlobs = 64

interface Asking {
  readonly bytes: number
  readonly grant: (allowance: Allowance) => void
}

/**
 * How much a spool may hold, shared by all who use it. Whoever finds no room waits; what fits goes before what does not
 * fit yet, in the order of asking. Waiting harms nobody: who has waited long enough does without the spool.
 */
export class SpoolBudget {
  readonly #maxBytes: number
  #bytesLeft: number
  #downloadsLeft: number
  #blobsLeft = maxBlobs
  readonly #asking = new Set<Asking>()

  constructor({ maxBytes, downloads }: SpoolLimits) {
    this.#maxBytes = maxBytes
    this.#bytesLeft = maxBytes
    this.#downloadsLeft = downloads
  }

  /** Bytes that are granted. */
  get bytes(): number {
    return this.#maxBytes - this.#bytesLeft
  }

  /** `undefined` for a blob that would not fit into an empty spool either. */
  async acquire(bytes: number, { signal }: Abortable = {}): Promise<Allowance | undefined> {
    signal?.throwIfAborted()
    if (bytes > this.#maxBytes) return undefined
    const granted = Promise.withResolvers<Allowance>()
    const asking: Asking = { bytes, grant: granted.resolve }
    this.#asking.add(asking)
    this.#grantWhatFits()
    try {
      return await orAbort(granted.promise, signal)
    } catch (error) {
      // Between the abort and here it may have been granted.
      if (!this.#asking.delete(asking)) (await granted.promise)[Symbol.dispose]()
      throw error
    }
  }

  #grantWhatFits(): void {
    for (const asking of this.#asking) {
      if (this.#downloadsLeft === 0 || this.#blobsLeft === 0) return
      if (asking.bytes > this.#bytesLeft) continue
      this.#asking.delete(asking)
      asking.grant(this.#allow(asking.bytes))
    }
  }

  #allow(bytes: number): Allowance {
    this.#bytesLeft -= bytes
    this.#downloadsLeft -= 1
    this.#blobsLeft -= 1
    const giveBack = (change: () => void) => () => {
      change()
      this.#grantWhatFits()
    }
    return new Allowance(
      giveBack(() => {
        this.#downloadsLeft += 1
      }),
      giveBack(() => {
        this.#bytesLeft += bytes
        this.#blobsLeft += 1
      }),
    )
  }
}

/** Room for one blob, and the right to download it. Disposing gives back both. */
export class Allowance implements Disposable {
  #endDownload: (() => void) | undefined
  #endRoom: (() => void) | undefined

  constructor(endDownload: () => void, endRoom: () => void) {
    this.#endDownload = endDownload
    this.#endRoom = endRoom
  }

  /** The download has ended; its bytes stay. Idempotent. */
  downloaded(): void {
    const end = this.#endDownload
    this.#endDownload = undefined
    end?.()
  }

  [Symbol.dispose](): void {
    this.downloaded()
    const end = this.#endRoom
    this.#endRoom = undefined
    end?.()
  }
}
