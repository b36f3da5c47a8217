import { type Abortable, orAbort } from '../../../storage/abortable.ts'
import type { BlobInfo } from '../../../storage/blobs/blob-store.ts'
import type { Digest } from '../../../storage/digest.ts'
import type { SpoolPlace } from '../../../storage/spool/spool.ts'
import { flightOf, type UpstreamRepository } from '../upstream.ts'
import type { BlobFetchParts } from './blob-fetch-parts.ts'
import { BlobStoring } from './blob-storing.ts'
import { fetchFailure, givenUp, isRefusal } from './fetch-failure.ts'
import { FetchedCopy } from './fetched-copy.ts'
import { FillTurn } from './fill-turn.ts'
import type { GrowingBlob } from './growing-blob.ts'
import type { GoOn } from './growing-stream.ts'
import { assertNamedSize, canGoOn, linkWithinPrefix, sizeIn } from './kept-blobs.ts'
import { placeSoon } from './spool-place.ts'
import { type OpenedBlob, UpstreamBlob } from './upstream-blob.ts'

/**
 * How those who wait get the blob: the repository has it by now; it can be read as it comes; or it can be read only when
 * it is stored, if it will be.
 */
export type Begun =
  | { readonly kind: 'here'; readonly isLinked: boolean }
  | { readonly kind: 'growing'; readonly growing: GrowingBlob }
  | { readonly kind: 'hidden' }

export interface BlobFetchOptions {
  /** Whether it is stored. */
  readonly keeps: boolean
  /** Called once nobody should join any more. */
  readonly onOver: () => void
}

/**
 * One blob on its way from upstream, for everybody in this process who wants it meanwhile. It belongs to none of them:
 * when they leave it goes on, if it is to be kept.
 */
export class BlobFetch {
  readonly #parts: BlobFetchParts
  readonly #at: UpstreamRepository
  readonly #digest: Digest
  readonly #keeps: boolean
  readonly #onOver: () => void
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #begun = Promise.withResolvers<Begun>()
  readonly #stored = Promise.withResolvers<boolean>()
  readonly #upstreamBlob: UpstreamBlob
  #copy: FetchedCopy | undefined
  #isStoring = true
  #isComing = false
  /** Settles when nothing of it is left; never rejects. */
  readonly closed: Promise<void>

  constructor(parts: BlobFetchParts, at: UpstreamRepository, digest: Digest, options: BlobFetchOptions) {
    this.#parts = parts
    this.#at = at
    this.#digest = digest
    this.#keeps = options.keeps
    this.#onOver = options.onOver
    const timeout = AbortSignal.timeout(parts.settings.fetchWithinMs)
    this.#signal = AbortSignal.any([this.#stop.signal, timeout])
    this.#upstreamBlob = new UpstreamBlob(at, digest, this.#signal)
    // Those who want to know ask later, or have left.
    this.#begun.promise.catch(() => {})
    this.closed = this.#run()
  }

  /** Whether upstream has begun to send it. */
  get isComing(): boolean {
    return this.#isComing
  }

  /** @throws what has gone wrong before anything came, as clients are told. */
  begun({ signal }: Abortable): Promise<Begun> {
    return orAbort(this.#begun.promise, signal)
  }

  /** Whether the repository has it in the end. */
  stored({ signal }: Abortable): Promise<boolean> {
    return orAbort(this.#stored.promise, signal)
  }

  /** Where clients go on when the growing copy is given up. */
  readonly goOn: GoOn = async (range, signal) => {
    if (!(await this.stored({ signal }))) throw givenUp(this.#digest)
    const blobs = this.#parts.blobs.repository(this.#at.repository)
    return (await blobs.open(this.#digest, { range, signal })).stream
  }

  stop(): void {
    this.#stop.abort(new DOMException('the registry stops', 'AbortError'))
  }

  async #run(): Promise<void> {
    let isStored = false
    try {
      if (this.#keeps) isStored = await this.#keep()
      else await this.#pass()
    } catch (error) {
      this.#begun.reject(fetchFailure(error, this.#at, this.#digest))
      // Anybody can ask for what upstream does not have.
      this.#note(error, isRefusal(error) ? 'debug' : 'warn')
    }
    this.#isStoring = false
    this.#begun.resolve({ kind: 'hidden' })
    this.#stored.resolve(isStored)
    if (isStored) this.#onOver()
    const copy = this.#copy
    await (isStored ? copy?.linger(this.#parts.settings.lingerMs) : copy?.untilUnwanted())
    this.#onOver()
    this.#stop.abort(new DOMException('the fetch is over', 'AbortError'))
    this.#upstreamBlob[Symbol.dispose]()
    const ended = await copy?.ended
    await copy?.growing[Symbol.asyncDispose]()
    this.#tell(isStored, copy !== undefined && ended === undefined)
  }

  /** @returns whether the repository has it now. */
  async #keep(): Promise<boolean> {
    const { records, settings } = this.#parts
    const turn = await FillTurn.take(records, this.#at.repository, this.#digest, {
      leaseMs: settings.leaseMs,
      pollMs: settings.pollMs,
      // Who asks for somebody else may be waited for by whom it waits for, in a circle.
      withinMs: flightOf(this.#at) === '' ? settings.answerWithinMs : settings.passedOnWithinMs,
      isHere: options => this.#isHere(options),
      signal: this.#signal,
    })
    if (turn === undefined) return false
    if (turn === 'here') return this.#beginHere({ isLinked: false })
    await using _turn = turn
    return await this.#fill()
  }

  async #fill(): Promise<boolean> {
    const { repository } = this.#at
    const options = { signal: this.#signal }
    if (await this.#isHere(options)) return this.#beginHere({ isLinked: false })
    if (await linkWithinPrefix(this.#parts, this.#at, this.#digest, options))
      return this.#beginHere({ isLinked: true })
    // Of what was stored before, nothing should come again.
    const goesOn = await canGoOn(this.#parts, repository, this.#digest, options)
    const opened = goesOn ? undefined : await this.#upstreamBlob.open()
    const blob = opened?.blob ?? (await this.#upstreamBlob.measure())
    await assertNamedSize(this.#parts, this.#at, blob, options)
    if (opened === undefined) this.#begun.resolve({ kind: 'hidden' })
    else this.#grow(opened, await this.#place(blob))
    const storing = new BlobStoring(this.#parts, this.#at, {
      upstreamBlob: this.#upstreamBlob,
      copy: this.#copy,
      onFailure: error => this.#note(error),
      signal: this.#signal,
    })
    return await storing.run(blob)
  }

  /** For those who want it now, and nobody else. */
  async #pass(): Promise<void> {
    const opened = await this.#upstreamBlob.open()
    await assertNamedSize(this.#parts, this.#at, opened.blob, { signal: this.#signal })
    const place = await this.#place(opened.blob)
    // Without a file, readers that nothing is stored for would be held to each other's pace.
    if (place !== undefined) this.#grow(opened, place)
  }

  #isHere(options: Abortable): Promise<boolean> {
    return sizeIn(this.#parts, this.#at.repository, this.#digest, options).then(size => size !== undefined)
  }

  #beginHere({ isLinked }: { readonly isLinked: boolean }): true {
    this.#begun.resolve({ kind: 'here', isLinked })
    return true
  }

  #place({ size }: BlobInfo): Promise<SpoolPlace | undefined> {
    const { spool, settings } = this.#parts
    return placeSoon(spool, size, { withinMs: settings.roomWithinMs, signal: this.#signal })
  }

  /** @param place undefined: in memory alone. */
  #grow({ blob, body }: OpenedBlob, place: SpoolPlace | undefined): void {
    const copy = new FetchedCopy(this.#at, {
      blob,
      body,
      place,
      settings: this.#parts.settings,
      onBytes: this.#upstreamBlob.count,
      onDeserted: () => {
        if (!this.#isStoring) this.#onOver()
      },
      signal: this.#signal,
    })
    this.#copy = copy
    this.#isComing = true
    void copy.ended.then(ended => {
      if (ended !== undefined) this.#onOver()
    })
    this.#begun.resolve({ kind: 'growing', growing: copy.growing })
  }

  #note(error: unknown, level: 'debug' | 'warn' = 'warn'): void {
    if (this.#stop.signal.aborted) return
    const { upstream, repository } = this.#at
    const facts = { upstream: upstream.name, repository, digest: this.#digest, error }
    this.#parts.log[level](facts, 'a blob of an upstream is not kept')
  }

  #tell(isStored: boolean, isComplete: boolean): void {
    if (this.#upstreamBlob.bytes === 0 && this.#copy === undefined) return
    const outcome = isStored ? 'kept' : isComplete ? 'not_kept' : 'failed'
    this.#parts.observer?.fetched?.(this.#at.upstream, outcome, this.#upstreamBlob.bytes)
  }
}
