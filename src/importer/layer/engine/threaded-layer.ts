import type { Readable } from 'node:stream'
import { errnoOf } from '../../../errors.ts'
import { orAbort } from '../../../storage/abortable.ts'
import type { LayerReport } from '../apply-layer.ts'
import type { LayerPromise } from '../decode/decompress.ts'
import type { ApplyToOptions, OpenedLayer } from '../layer-engine.ts'
import { fromOutside, layerTooLarge } from '../layer-errors.ts'
import type { LayerLimits } from '../limits.ts'
import type { LayerPolicy } from '../policy.ts'
import type { Ticket } from './admission.ts'
import { applyOn } from './apply-on.ts'
import { decodeOn } from './decode-on.ts'
import { RingStopped, type SharedRing } from './shared-ring.ts'
import type { Staffed, ThreadPool } from './thread-pool.ts'

/** A thread that decodes, with the ring that it fills. */
export interface Lane extends Staffed {
  readonly ring: SharedRing
}

export interface ThreadedLayerParts {
  readonly source: Readable
  readonly promise: LayerPromise
  readonly limits: LayerLimits
  readonly policy: LayerPolicy
  readonly ticket: Ticket
  readonly lanes: ThreadPool<Lane>
  readonly appliers: ThreadPool<Staffed>
  /** Called once, when it holds nothing any more. */
  readonly onClosed: () => void
}

/** One layer on its way through the engine. */
export class ThreadedLayer implements OpenedLayer {
  readonly #parts: ThreadedLayerParts
  /** Aborted once, with the first failure as its reason: what {@link applyTo} throws. */
  readonly #failure = new AbortController()
  /** Resolves when it is admitted. */
  readonly #ring = Promise.withResolvers<SharedRing>()
  /** Never rejects. After it no thread decodes for this layer. */
  readonly #decoded: Promise<void>
  #applied: Promise<LayerReport> | undefined
  #closed: Promise<void> | undefined
  #lane: Lane | undefined
  #blobBytes = 0

  constructor(parts: ThreadedLayerParts) {
    this.#parts = parts
    // Also for as long as nobody reads it, and after it was destroyed: an error that nobody hears ends the process.
    parts.source.on('error', error => this.#failWithSource(error))
    this.#decoded = this.#decode()
  }

  async applyTo(rootfs: string, options: ApplyToOptions = {}): Promise<LayerReport> {
    if (this.#applied !== undefined) throw new Error('a layer is applied once')
    this.#applied = this.#applyAndClose(rootfs, options)
    return await this.#applied
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.giveUp(new Error('the layer was closed before it was applied'))
    await this.#applied?.catch(() => {})
    await this.#close()
  }

  /** Stops all work on it. What it was first given up for is what {@link applyTo} throws. */
  giveUp(reason: unknown): void {
    this.#failure.abort(reason)
    this.#parts.source.destroy()
  }

  async #applyAndClose(rootfs: string, { signal, ...options }: ApplyToOptions): Promise<LayerReport> {
    const abort = (): void => this.giveUp(signal?.reason)
    signal?.addEventListener('abort', abort)
    if (signal?.aborted === true) abort()
    try {
      const report = await this.#apply(rootfs, options)
      // The ring's end comes after the verdict, but the news of it may still be on its way.
      await this.#decoded
      return report
    } catch (error) {
      // Who has stopped the ring has a reason, which may still be on its way.
      if (error instanceof RingStopped) await this.#decoded
      this.giveUp(error)
      throw this.#failure.signal.reason as Error
    } finally {
      signal?.removeEventListener('abort', abort)
      await this.#close()
    }
  }

  async #apply(
    rootfs: string,
    { lowerDirectoryXattrs, onProgress }: Omit<ApplyToOptions, 'signal'>,
  ): Promise<LayerReport> {
    const { ticket, appliers, limits, policy } = this.#parts
    const { signal } = this.#failure
    signal.throwIfAborted()
    await orAbort(ticket.takeTurn(), signal)
    const ring = await orAbort(this.#ring.promise, signal)
    const applier = appliers.take()
    // The applier looks at the clock when it has something to do, and a slow source may see to it that it has not.
    const { maxSeconds } = limits
    const tooSlow = layerTooLarge(`it takes longer than ${maxSeconds} seconds, the limit maxSeconds`)
    const deadline = setTimeout(() => this.giveUp(tooSlow), maxSeconds * 1000)
    try {
      return await applyOn(applier.thread, {
        rootfs,
        lowerDirectoryXattrs,
        ring,
        limits,
        policy,
        signal,
        onProgress: report => onProgress?.({ ...report, blobBytes: this.#blobBytes }),
      })
    } finally {
      clearTimeout(deadline)
      appliers.giveBack(applier)
    }
  }

  async #decode(): Promise<void> {
    const { source, promise, limits, ticket, lanes } = this.#parts
    const { signal } = this.#failure
    try {
      await orAbort(ticket.admitted, signal)
      this.#lane = lanes.take()
      const { thread, ring } = this.#lane
      ring.reset()
      this.#ring.resolve(ring)
      await decodeOn(thread, {
        source,
        promise,
        limits,
        ring,
        signal,
        onBlobBytes: bytes => {
          this.#blobBytes += bytes
        },
        onSourceFailure: error => this.#failWithSource(error),
      })
    } catch (error) {
      this.giveUp(error)
    }
  }

  #failWithSource(error: unknown): void {
    this.giveUp(
      errnoOf(error) === 'ERR_STREAM_PREMATURE_CLOSE'
        ? fromOutside(error, `byte ${this.#blobBytes} of its blob`)
        : error,
    )
  }

  /** Gives back what it holds. Applying has settled, and decoding has or was given up. */
  #close(): Promise<void> {
    this.#closed ??= this.#release()
    return this.#closed
  }

  async #release(): Promise<void> {
    const { source, ticket, lanes, onClosed } = this.#parts
    source.destroy()
    await this.#decoded
    if (this.#lane !== undefined) lanes.giveBack(this.#lane)
    ticket.leave()
    onClosed()
  }
}
