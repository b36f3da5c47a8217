import { Readable } from 'node:stream'
import type { ByteSink, DirectReadable } from './direct.ts'

/** Bytes that are in memory already, and may be in others' hands as well: whoever reads the stream gets a copy. */
export class BytesStream extends Readable implements DirectReadable {
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    super()
    this.#bytes = bytes
  }

  async copyTo(sink: ByteSink): Promise<void> {
    try {
      if (this.destroyed) throw this.errored ?? new DOMException('the stream was destroyed', 'AbortError')
      if (this.#bytes.length > 0) await sink(this.#bytes)
    } finally {
      this.destroy()
    }
  }

  override _read(): void {
    this.push(Buffer.from(this.#bytes))
    this.push(null)
  }
}
