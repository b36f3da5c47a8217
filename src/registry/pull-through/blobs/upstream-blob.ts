import { Readable } from 'node:stream'
import type { BlobInfo } from '../../../storage/blobs/blob-store.ts'
import type { Digest } from '../../../storage/digest.ts'
import type { UpstreamRepository } from '../upstream.ts'
import { upstreamBytes } from './upstream-bytes.ts'

export interface OpenedBlob {
  readonly blob: BlobInfo
  /** From the first byte on. */
  readonly body: Readable
}

/** One blob where upstream has it, for as long as one fetch lasts. Disposing ends what is still open of it. */
export class UpstreamBlob implements Disposable {
  readonly #at: UpstreamRepository
  readonly #digest: Digest
  readonly #signal: AbortSignal
  #body: Readable | undefined
  #bytes = 0

  constructor(at: UpstreamRepository, digest: Digest, signal: AbortSignal) {
    this.#at = at
    this.#digest = digest
    this.#signal = signal
  }

  /** That have come. */
  get bytes(): number {
    return this.#bytes
  }

  readonly count = (bytes: number): void => {
    this.#bytes += bytes
  }

  /** Asks for nothing but its size. */
  async measure(): Promise<BlobInfo> {
    const { upstream, source } = this.#at
    const options = { signal: this.#signal }
    const { size } = await upstream.ask(aborts => source.statBlob(this.#digest, aborts), options)
    return { digest: this.#digest, size }
  }

  async open(): Promise<OpenedBlob> {
    const { upstream, source } = this.#at
    const options = { signal: this.#signal }
    const { size, stream } = await upstream.ask(aborts => source.openBlob(this.#digest, aborts), options)
    // It may break off before it is read, and an error that nobody hears ends the process.
    stream.on('error', () => {})
    this.#body = stream
    return { blob: { digest: this.#digest, size }, body: stream }
  }

  /** Asked for anew, from `from` on. It breaks off where upstream does. */
  rest(blob: BlobInfo, from: number, signal: AbortSignal): Readable {
    const bytes = upstreamBytes(this.#at, blob, { from, retries: 0, onBytes: this.count, signal })
    return Readable.from(bytes, { objectMode: false })
  }

  [Symbol.dispose](): void {
    this.#body?.destroy()
  }
}
