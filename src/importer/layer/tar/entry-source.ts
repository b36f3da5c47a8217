import { type Abortable, orAbort } from '../../../storage/abortable.ts'
import type { ByteString } from '../byte-string.ts'
import type { FileEntry, LayerEntry } from '../entry.ts'
import type { LayerLimits } from '../limits.ts'
import { BlockReader } from './block-reader.ts'
import { EntryBody } from './entry-body.ts'

/** An entry, of whose content this knows. */
type ReadEntry = Exclude<LayerEntry, FileEntry> | (FileEntry & { readonly body: EntryBody })

/**
 * The entries of a tar stream, chunk by chunk: those that begin in one chunk are there at once. The next chunk is asked
 * for only when it is needed and the last one is of no more use.
 */
export class EntrySource {
  readonly #chunks: AsyncIterator<Uint8Array>
  readonly #reader: BlockReader
  readonly #signal: AbortSignal | undefined
  readonly #entries: ReadEntry[] = []
  #next = 0
  /** Of the entry that was handed out last. */
  #given: EntryBody | undefined
  /** Of the last entry that began, when it is a file. */
  #body: EntryBody | undefined
  #failure: { readonly error: unknown } | undefined
  #isOver = false

  constructor(
    tar: AsyncIterable<Uint8Array>,
    limits: LayerLimits,
    onGlobalHeader: (keys: readonly ByteString[]) => void,
    { signal }: Abortable,
  ) {
    this.#chunks = tar[Symbol.asyncIterator]()
    this.#signal = signal
    this.#reader = new BlockReader(limits, {
      begin: (facts, storedBytes) => {
        this.#body = undefined
        if (facts.type !== 'file') {
          this.#entries.push(facts)
          return
        }
        this.#body = new EntryBody(storedBytes, this.#advance)
        this.#entries.push({ ...facts, body: this.#body })
      },
      pass: content => this.#body?.give(content),
      globalHeader: onGlobalHeader,
    })
  }

  /** Undefined when the next one has not come yet. The content of the one before it can be read no more. */
  shift(): LayerEntry | undefined {
    this.#given?.leave()
    const entry = this.#entries[this.#next]
    this.#given = entry?.type === 'file' ? entry.body : undefined
    if (entry !== undefined) this.#next++
    return entry
  }

  /**
   * Waits for the next chunk. Answers false at the end of the stream.
   * @throws what is wrong with the layer or the stream: always after the same entries.
   */
  async fetch(): Promise<boolean> {
    this.#entries.length = 0
    this.#next = 0
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#isOver) return false
    try {
      const { done, value } = await orAbort(this.#chunks.next(), this.#signal)
      if (done === true) {
        this.#isOver = true
        this.#reader.finish()
      } else this.#reader.take(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
    } catch (error) {
      // What has come before it is handed out first.
      this.#failure = { error }
    }
    return true
  }

  readonly #advance = async (): Promise<void> => {
    if (!(await this.fetch())) throw new Error('an entry has less content than it was read with')
  }
}
