import { Writable } from 'node:stream'
import type { Extract, Header } from 'tar-stream'
import type { ByteString } from '../byte-string.ts'
import type { LayerLimits } from '../limits.ts'
import { BlockReader } from './block-reader.ts'
import { plainHeader } from './plain-header.ts'
import type { EntryFacts } from './tar-entry.ts'

export interface ReadEntry {
  readonly facts: EntryFacts
  readonly storedBytes: number
}

const typeOfTarStream: Readonly<Record<EntryFacts['type'], Header['type']>> = {
  file: 'file',
  hardlink: 'link',
  symlink: 'symlink',
  device: 'character-device',
  directory: 'directory',
  fifo: 'fifo',
}

/**
 * Stands in front of tar-stream: takes the tar stream, and writes one in its place that has a plain header for each
 * entry and nothing else but content. So tar-stream's own reading of names, numbers and PAX headers decides nothing;
 * what the entries are comes by {@link shift}, in the same order.
 *
 * When the stream is found to be unsound, the entries before that place still come, however it was cut into chunks;
 * then the front fails.
 */
export class TarFront extends Writable {
  readonly #extractor: Extract
  readonly #reader: BlockReader
  readonly #entries: ReadEntry[] = []
  #next = 0
  #isFlowing = true
  #onDrain: (() => void) | undefined
  #onClose: (() => void) | undefined
  #failure: Error | undefined

  constructor(
    extractor: Extract,
    limits: LayerLimits,
    onGlobalHeader: (keys: readonly ByteString[]) => void,
  ) {
    super()
    this.#extractor = extractor
    this.#reader = new BlockReader(limits, {
      begin: (facts, storedBytes) => {
        this.#entries.push({ facts, storedBytes })
        this.#write(plainHeader(facts.type, storedBytes))
      },
      pass: content => this.#write(content),
      globalHeader: onGlobalHeader,
    })
    extractor.on('drain', () => {
      this.#isFlowing = true
      // Once: the next write has a drain of its own, which may come while it is being read.
      const resume = this.#onDrain
      this.#onDrain = undefined
      resume?.()
    })
    extractor.on('close', () => {
      if (this.#onClose === undefined) this.destroy()
      else this.#onClose()
    })
  }

  /** Why the stream is unsound, once it has been found to be. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /**
   * What the next entry of tar-stream is.
   * @param header as tar-stream has read it.
   * @throws Error when it has read something else than was written: a bug.
   */
  shift(header: Header): ReadEntry {
    const entry = this.#entries[this.#next++]
    if (this.#next === this.#entries.length) {
      this.#entries.length = 0
      this.#next = 0
    }
    if (entry?.storedBytes !== header.size || typeOfTarStream[entry.facts.type] !== header.type)
      throw new Error(
        `tar-stream reads a ${header.type} of ${header.size} bytes where a ${entry?.facts.type} of ${entry?.storedBytes} was written`,
      )
    return entry
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    if (!this.#try(() => this.#reader.take(chunk), callback)) return
    if (this.#isFlowing) callback()
    else this.#onDrain = callback
  }

  override _final(callback: Callback): void {
    if (!this.#try(() => this.#reader.finish(), callback)) return
    this.#onClose = callback
    this.#extractor.end(undefined)
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.#extractor.destroy(error ?? undefined)
    callback(error)
  }

  #write(bytes: Buffer): void {
    this.#isFlowing = this.#extractor.write(bytes)
  }

  /** Whether it worked; if not, `callback` has the reason after tar-stream is through with what came before. */
  #try(read: () => void, callback: Callback): boolean {
    try {
      read()
      return true
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(String(error))
      this.#failure = failure
      this.#onClose = () => callback(failure)
      this.#extractor.end(undefined)
      return false
    }
  }
}

type Callback = (error?: Error | null) => void
