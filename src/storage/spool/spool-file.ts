import { randomUUID } from 'node:crypto'
import { constants, type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Bytes of one read: few calls, and little that is read for nobody. */
const readBytes = 256 * 1024

/**
 * A blob that grows on disk while it is read already. The file has no name, so that it goes with the process, however
 * that ends.
 *
 * A file that breaks before its end (its download failed, the disk is full, it was disposed) gives up its bytes at once.
 */
export class SpoolFile implements AsyncDisposable {
  readonly #file: FileHandle
  readonly #size: number
  readonly #release: () => void
  #written = 0
  #state: 'growing' | 'complete' | 'broken' = 'growing'
  #changed = Promise.withResolvers<void>()
  #closing: Promise<void> | undefined

  private constructor(file: FileHandle, size: number, release: () => void) {
    this.#file = file
    this.#size = size
    this.#release = release
  }

  /**
   * @param size bytes of the blob, as it was promised.
   * @param release called once when the file has given back its space.
   */
  static async create(directory: string, size: number, release: () => void): Promise<SpoolFile> {
    const path = join(directory, randomUUID())
    const file = await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600)
    try {
      // Another process that has just opened its spool there may have removed it already.
      await rm(path, { force: true })
      return new SpoolFile(file, size, release)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Whether all bytes are there. */
  get complete(): boolean {
    return this.#state === 'complete'
  }

  /**
   * Takes the blob, once. Whatever goes wrong only breaks the file: whoever reads it finds out, and knows better what
   * to do. So does a blob of another size than was promised.
   */
  async fill(blob: AsyncIterable<Uint8Array>, onWritten?: (bytes: number) => void): Promise<void> {
    try {
      for await (const chunk of blob) {
        if (!(await this.append(chunk))) break
        onWritten?.(this.#written)
      }
      if (this.#written === this.#size) this.#become('complete')
      else await this.break()
    } catch {
      await this.break()
    }
  }

  /**
   * The next bytes, for who does not leave it to {@link fill}. Answers false, and the file is broken, when they do not fit
   * or cannot be written. One call at a time.
   */
  async append(chunk: Uint8Array): Promise<boolean> {
    try {
      if (this.#written + chunk.length <= this.#size && this.#state !== 'broken') {
        await this.#append(chunk)
        return true
      }
    } catch {
      // Below.
    }
    await this.break()
    return false
  }

  /** At most some 256 KiB from `position` on; waits for what has not come yet. `undefined` after the last byte that there will be. */
  async read(position: number): Promise<Uint8Array | undefined> {
    while (this.#state === 'growing' && position >= this.#written) await this.#changed.promise
    if (this.#state === 'broken' || position >= this.#written) return undefined
    // Memory of its own, which can be handed to another thread.
    return this.readInto(Buffer.allocUnsafeSlow(Math.min(readBytes, this.#written - position)), position)
  }

  /** As many of the bytes that are there from `position` on as `buffer` takes; `undefined` where there are none. */
  async readInto(buffer: Buffer, position: number): Promise<Buffer | undefined> {
    const wanted = Math.min(buffer.length, this.#written - position)
    if (this.#state === 'broken' || wanted <= 0) return undefined
    try {
      const { bytesRead } = await this.#file.read(buffer, 0, wanted, position)
      if (bytesRead > 0) return buffer.subarray(0, bytesRead)
    } catch {
      // Below.
    }
    await this.break()
    return undefined
  }

  /** Gives up what is there; readers come to an end that is not complete. Idempotent. */
  async break(): Promise<void> {
    this.#become('broken')
    this.#closing ??= this.#close()
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.break()
  }

  async #append(chunk: Uint8Array): Promise<void> {
    for (let offset = 0; offset < chunk.length; ) {
      const { bytesWritten } = await this.#file.write(chunk, offset, chunk.length - offset, this.#written)
      offset += bytesWritten
      this.#written += bytesWritten
      this.#wake()
    }
  }

  /** Broken is for good: the last bytes may be written while the file is given up. */
  #become(state: 'complete' | 'broken'): void {
    if (this.#state !== 'broken') this.#state = state
    this.#wake()
  }

  #wake(): void {
    const { resolve } = this.#changed
    this.#changed = Promise.withResolvers()
    resolve()
  }

  /** A file without a name is gone when it is closed; closing waits for calls that are under way. */
  async #close(): Promise<void> {
    try {
      await this.#file.close()
    } catch {
      // Nobody can read what had no name, so it does not matter either that it was not all written.
    } finally {
      this.#release()
    }
  }
}
