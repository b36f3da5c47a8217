import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Abortable, orAbort } from '../../../storage/abortable.ts'
import type { BlobInfo } from '../../../storage/blobs/blob-store.ts'
import type { SpoolPlace } from '../../../storage/spool/spool.ts'
import type { UpstreamRepository } from '../upstream.ts'
import { type GrowOptions, grow } from './grow.ts'
import { GrowingBlob } from './growing-blob.ts'
import type { BlobFetchSettings } from './settings.ts'

export interface FetchedCopyOptions extends Abortable {
  readonly blob: BlobInfo
  /** Opened already, from the first byte on. Owned from here on. */
  readonly body: Readable | undefined
  /** Undefined: in memory alone. */
  readonly place: SpoolPlace | undefined
  readonly settings: BlobFetchSettings
  readonly onBytes: (count: number) => void
  /** Called each time that everybody has left. */
  readonly onDeserted: () => void
}

/** The growing copy of one fetch, and how long it is wanted. */
export class FetchedCopy {
  readonly growing: GrowingBlob
  /** What has gone wrong with it; undefined when it is whole. Never rejects. */
  readonly ended: Promise<{ readonly failure: unknown } | undefined>
  readonly #signal: AbortSignal | undefined
  #failure: unknown
  #deserted = Promise.withResolvers<void>()

  constructor(at: UpstreamRepository, options: FetchedCopyOptions) {
    const { blob, body, place, settings, onBytes, onDeserted, signal } = options
    this.#signal = signal
    this.growing = new GrowingBlob({
      blob,
      file: place?.file,
      slowReadersMs: settings.slowClientsMs,
      onDeserted: () => {
        onDeserted()
        this.#leave()
      },
    })
    this.ended = this.#grow(at, { body, retries: settings.retries, onBytes, signal }, place)
  }

  /** What has gone wrong so far; undefined when nothing has. */
  get failure(): unknown {
    return this.#failure
  }

  /** It is stored: who reads it may do so for a while, to spare the store, and then has to go on there. */
  async linger(forMs: number): Promise<void> {
    // Somebody else may have stored it. What clients were sent of this copy is not known to be right before its end.
    if (this.growing.readers === 0) this.growing.goNoFurther()
    const enough = new AbortController()
    const signal = AbortSignal.any([enough.signal, ...(this.#signal === undefined ? [] : [this.#signal])])
    const pause = sleep(forMs, undefined, { signal }).catch(() => {})
    await Promise.race([this.#untilDeserted(), pause])
    enough.abort()
  }

  /** It is not stored, so it comes as long as somebody reads it, or is about to. */
  async untilUnwanted(): Promise<void> {
    if (this.growing.isDeserted) return
    const left = this.growing.isAwaited ? this.#deserted.promise : this.#untilDeserted()
    const ended = await Promise.race([this.ended.then(failed => failed ?? 'whole'), left])
    if (ended === 'whole') await this.#untilDeserted()
  }

  async #grow(
    at: UpstreamRepository,
    options: GrowOptions,
    place: SpoolPlace | undefined,
  ): Promise<{ readonly failure: unknown } | undefined> {
    const failed = await grow(this.growing, at, options)
    this.#failure = failed?.failure
    place?.downloaded()
    return failed
  }

  async #untilDeserted(): Promise<void> {
    while (this.growing.readers > 0 && this.#signal?.aborted !== true)
      await orAbort(this.#deserted.promise, this.#signal).catch(() => {})
  }

  #leave(): void {
    const { resolve } = this.#deserted
    this.#deserted = Promise.withResolvers()
    resolve()
  }
}
