import { Readable } from 'node:stream'

export interface BlobPartOptions {
  /** Bytes at the beginning that are left out. */
  readonly skip: number
  /** Bytes that are passed on; undefined: all that come. */
  readonly take: number | undefined
  /** What it fails with when the source has fewer; or more, where it should end there. */
  readonly mismatch: (what: string) => Error
  /** Whether more than `take` bytes are a failure; otherwise the source is given up after them. */
  readonly isWhole: boolean
}

/** Bytes out of the middle of a stream that it owns: exactly as many as were promised. */
export class BlobPart extends Readable {
  readonly #source: Readable
  #skip: number
  /** Without an end: all that come. */
  #left: number

  constructor(source: Readable, { skip, take, mismatch, isWhole }: BlobPartOptions) {
    super()
    this.#source = source
    this.#skip = skip
    this.#left = take ?? Number.POSITIVE_INFINITY
    source.on('data', (chunk: Buffer) => {
      if (this.destroyed) return
      const wanted = chunk.subarray(this.#skip)
      this.#skip -= chunk.length - wanted.length
      const passed = wanted.subarray(0, this.#left)
      if (wanted.length > passed.length && isWhole) return void this.destroy(mismatch('more bytes than it'))
      this.#left -= passed.length
      const wantsMore = passed.length === 0 || this.push(passed)
      if (this.#left === 0 && !isWhole) this.#finish()
      else if (!wantsMore) source.pause()
    })
    source.on('end', () => {
      if (take === undefined) this.#left = 0
      if (this.#left > 0) this.destroy(mismatch('fewer bytes than it'))
      else this.push(null)
    })
    source.on('error', error => this.destroy(error))
    source.on('close', () => {
      if (this.#left > 0 && !this.destroyed) this.destroy(mismatch('fewer bytes than it'))
    })
    source.pause()
  }

  override _read(): void {
    this.#source.resume()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#source.destroy()
    callback(error)
  }

  #finish(): void {
    this.#source.removeAllListeners('data')
    this.push(null)
    this.#source.destroy()
  }
}
