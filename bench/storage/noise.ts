import { randomFillSync } from 'node:crypto'
import { Readable } from 'node:stream'
import { createDigester, type Digest } from '../../src/storage/digest.ts'

const chunkBytes = 1024 * 1024
const shared = randomFillSync(Buffer.alloc(chunkBytes))

/** A blob that is not in memory: the same random mebibyte over and over, with first bytes of its own. */
export class Noise {
  readonly size: number
  readonly digest: Digest
  readonly #first: Buffer

  constructor(size: number) {
    this.size = size
    this.#first = Buffer.from(shared)
    randomFillSync(this.#first, 0, 16)
    const digester = createDigester('sha256')
    for (const chunk of this.#chunks(0, size)) digester.update(chunk)
    this.digest = digester.digest()
  }

  /** The bytes from `start` to before `end`. */
  body(start = 0, end = this.size): Readable {
    return Readable.from(this.#chunks(start, end), { objectMode: false })
  }

  *#chunks(start: number, end: number): Generator<Buffer> {
    for (let at = start; at < end; ) {
      const chunk = at < chunkBytes ? this.#first : shared
      const piece = chunk.subarray(at % chunkBytes, Math.min(chunkBytes, (at % chunkBytes) + end - at))
      yield piece
      at += piece.length
    }
  }
}
