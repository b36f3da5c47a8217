import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { callbackify } from 'node:util'
import { DomainError } from '../../errors.ts'
import { fromFilesystem } from './filesystem-errors.ts'

const chunkBytes = 256 * 1024

/** Reads `length` bytes of an open file from `first` on, and closes the file whatever happens. */
export class FileRangeStream extends Readable {
  readonly #file: FileHandle
  readonly #name: string
  #position: number
  #remaining: number

  constructor(file: FileHandle, name: string, { first, length }: { first: number; length: number }) {
    super({ highWaterMark: chunkBytes })
    this.#file = file
    this.#name = name
    this.#position = first
    this.#remaining = length
  }

  override _read(): void {
    this.#next().then(
      chunk => this.push(chunk),
      (error: unknown) => this.destroy(error instanceof Error ? error : new Error(String(error))),
    )
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    callbackify(() => this.#file.close())(failure => callback(error ?? failure))
  }

  async #next(): Promise<Buffer | null> {
    if (this.#remaining === 0) return null
    const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, this.#remaining))
    const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.#position).catch(error => {
      throw fromFilesystem(error, this.#name)
    })
    // A reader that was promised a size must never see a short object end as if it were whole.
    if (bytesRead === 0)
      throw new DomainError('unavailable', `The object ${this.#name} is shorter than it was when opened.`, {
        resource: 'object',
        name: this.#name,
      })
    this.#position += bytesRead
    this.#remaining -= bytesRead
    return buffer.subarray(0, bytesRead)
  }
}
