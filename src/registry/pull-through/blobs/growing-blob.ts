import { setTimeout as sleep } from 'node:timers/promises'
import { type Abortable, orAbort } from '../../../storage/abortable.ts'
import type { BlobInfo } from '../../../storage/blobs/blob-store.ts'
import type { SpoolFile } from '../../../storage/spool/spool-file.ts'
import { GrowingReader, type ReaderKind } from './growing-reader.ts'
import { RecentChunks } from './recent-chunks.ts'

export interface GrowingBlobOptions {
  readonly blob: BlobInfo
  /** Owned from here on. Undefined: only what has come last can be read. */
  readonly file?: SpoolFile | undefined
  /** Bytes that are in memory. */
  readonly windowBytes?: number | undefined
  /** How long, all in all, it waits for patient readers that would miss something. */
  readonly slowReadersMs: number
  /** Called each time that the last reader leaves, once a client has come. */
  readonly onDeserted?: (() => void) | undefined
}

export const defaultWindowBytes = 1024 ** 2

/**
 * A blob that many read while it comes, each from where it likes and at its own pace: from a file, or, without one, from
 * a window of memory; then slow readers hold it up for a while, and go without afterwards. A file that cannot be written
 * any more is given up, and the window goes on.
 */
export class GrowingBlob implements AsyncDisposable {
  readonly blob: BlobInfo
  readonly #file: SpoolFile | undefined
  #hasFile: boolean
  readonly #window: RecentChunks
  readonly #onDeserted: () => void
  readonly #readers = new Set<GrowingReader>()
  #patienceMs: number
  /** Until a client has come, one is waited for as if it were here. */
  #isAwaited = true
  #state: 'growing' | 'complete' | 'ended' | 'failed' = 'growing'
  #failure: unknown
  #changed = Promise.withResolvers<void>()
  #advanced = Promise.withResolvers<void>()

  constructor({
    blob,
    file,
    windowBytes = defaultWindowBytes,
    slowReadersMs,
    onDeserted,
  }: GrowingBlobOptions) {
    this.blob = blob
    this.#file = file
    this.#hasFile = file !== undefined
    this.#window = new RecentChunks(windowBytes)
    this.#patienceMs = slowReadersMs
    this.#onDeserted = onDeserted ?? (() => {})
  }

  get readers(): number {
    return this.#readers.size
  }

  /** Whether no client has come yet. */
  get isAwaited(): boolean {
    return this.#isAwaited
  }

  /** Whether clients have come, and everybody has left. */
  get isDeserted(): boolean {
    return !this.#isAwaited && this.#readers.size === 0
  }

  /** Whether all bytes have come, and are right: the last one comes only then. */
  get isWhole(): boolean {
    const { size } = this.blob
    return this.#state === 'complete' || (size > 0 && this.#window.end === size)
  }

  /** Bytes that can be read, or could. */
  get written(): number {
    return this.#window.end
  }

  /** Whether it can still be read from this byte on, now or when it comes. */
  has(position: number): boolean {
    return this.#state !== 'failed' && (this.#hasFile || this.#window.start <= position)
  }

  /** The next bytes. Nobody may change them from here on. One call at a time. @throws AbortError when none are wanted. */
  async append(chunk: Uint8Array, { signal }: Abortable = {}): Promise<void> {
    if (this.#state !== 'growing') throw new DOMException('the blob grows no more', 'AbortError')
    if (this.#hasFile && !(await this.#write(chunk))) this.#hasFile = false
    if (!this.#hasFile) await this.#untilTaken(chunk.length, { signal })
    this.#window.push(chunk)
    this.#wake()
  }

  /** All bytes are there. */
  complete(): void {
    if (this.#state === 'growing') this.#state = 'complete'
    this.#wake()
  }

  /** What has not come yet is elsewhere by now: who has read nothing yet has to go there. */
  goNoFurther(): void {
    if (this.#state === 'growing') this.#state = 'ended'
    this.#wake()
  }

  /** There will be no more. Readers fail with this when they have read what has come. */
  fail(failure: unknown): void {
    if (this.#state !== 'growing') return
    this.#state = 'failed'
    this.#failure = failure
    this.#wake()
  }

  /** A place to read from. Disposing it is the caller's. */
  attach(position: number, kind: ReaderKind): GrowingReader {
    const reader: GrowingReader = new GrowingReader(position, kind, {
      next: (from, memory, options) => this.#next(from, memory, options),
      moved: () => this.#moved(),
      isWhole: () => this.isWhole,
      confirmed: options => this.#confirmed(options),
      left: () => {
        this.#readers.delete(reader)
        this.#moved()
        if (this.isDeserted) this.#onDeserted()
      },
    })
    this.#readers.add(reader)
    if (kind !== 'needed') this.#isAwaited = false
    this.#moved()
    return reader
  }

  /** Gives up what is there: who still reads it has to go on elsewhere. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#hasFile = false
    this.#window.clear()
    this.goNoFurther()
    await this.#file?.break()
  }

  async #next(
    from: number,
    memory: () => Buffer,
    { signal }: Abortable,
  ): Promise<Uint8Array | 'end' | 'gone'> {
    for (;;) {
      const chunk = from < this.#window.end ? await this.#at(from, memory) : undefined
      if (chunk !== undefined) return chunk
      if (this.#state === 'failed') throw this.#failure
      if (from < this.#window.end) return 'gone'
      if (this.#state === 'complete') return 'end'
      if (this.#state === 'ended') return 'gone'
      await orAbort(this.#changed.promise, signal)
    }
  }

  /** What was read is right when all is, which nobody knows before. */
  async #confirmed({ signal }: Abortable): Promise<void> {
    while (!this.isWhole && this.#state === 'growing') await orAbort(this.#changed.promise, signal)
    if (this.isWhole) return
    throw this.#state === 'failed' ? this.#failure : new DOMException('the blob grows no more', 'AbortError')
  }

  async #at(from: number, memory: () => Buffer): Promise<Uint8Array | undefined> {
    const recent = this.#window.at(from)
    if (recent !== undefined || !this.#hasFile) return recent
    return this.#file?.readInto(memory(), from)
  }

  async #write(chunk: Uint8Array): Promise<boolean> {
    return (await this.#file?.append(chunk)) === true
  }

  /** Waits until nobody that counts misses what leaves the window when so many bytes come. */
  async #untilTaken(bytes: number, { signal }: Abortable): Promise<void> {
    for (;;) {
      signal?.throwIfAborted()
      const { start } = this.#window
      const startAfter = this.#window.startAfter(bytes)
      const isLate = (position: number): boolean => position >= start && position < startAfter
      const late = [...this.#readers].filter(({ position }) => isLate(position))
      if (late.some(({ kind }) => kind !== 'patient')) await orAbort(this.#advanced.promise, signal)
      else if (this.#patienceMs > 0 && (late.length > 0 || (this.#isAwaited && isLate(0))))
        await this.#beAWhilePatient({ signal })
      else return
    }
  }

  async #beAWhilePatient({ signal }: Abortable): Promise<void> {
    const since = performance.now()
    const enough = new AbortController()
    const ends = AbortSignal.any([enough.signal, ...(signal === undefined ? [] : [signal])])
    try {
      await Promise.race([this.#advanced.promise, sleep(this.#patienceMs, undefined, { signal: ends })])
    } finally {
      enough.abort()
      this.#patienceMs -= performance.now() - since
    }
  }

  #wake(): void {
    const { resolve } = this.#changed
    this.#changed = Promise.withResolvers()
    resolve()
  }

  #moved(): void {
    const { resolve } = this.#advanced
    this.#advanced = Promise.withResolvers()
    resolve()
  }
}
