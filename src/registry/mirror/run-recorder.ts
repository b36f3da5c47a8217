import type { Abortable } from '../../storage/abortable.ts'
import type { CopyReport } from '../../storage/images/copy-image.ts'
import type { MirrorResult, MirrorTotals } from '../../storage/metadata/mirror-records.ts'
import type { MirrorRunContext } from './run-job.ts'

type RecorderContext = Pick<MirrorRunContext, 'run' | 'records' | 'traffic' | 'progress'>

/** Results that are written at once. */
const batchSize = 100
/** What is kept one by one of each of these; a job may find them again at each run. All are counted. */
const maxKept = 10_000
const recurring: ReadonlySet<MirrorResult['outcome']> = new Set(['skipped', 'failed'])
/** Results that may wait while the database is away, before the run has to end. */
const maxWaiting = 5000

/**
 * Counts what becomes of tags, and writes down what is more than "unchanged", many at once. What cannot be written waits
 * for the next time.
 */
export class RunRecorder {
  readonly #context: RecorderContext
  readonly #counts = { copied: 0, unchanged: 0, skipped: 0, failed: 0, deleted: 0 }
  readonly #blobs = { blobsCopied: 0, blobsMounted: 0 }
  /** Until when it waits, and what for; undefined while it runs. */
  paused: { readonly resumeAt: Date; readonly reason: string } | undefined
  /** Of a run in which something failed: what, and why. */
  firstFailure: string | undefined
  #waiting: MirrorResult[] = []
  #writing: Promise<void> = Promise.resolve()

  readonly #maxKept: number
  /** What was saved last. */
  #saved = ''

  /** @param kept results that are kept of those skipped, and of those that failed; 10,000 unless given. */
  constructor(context: RecorderContext, kept = maxKept) {
    this.#context = context
    this.#maxKept = kept
  }

  get totals(): MirrorTotals {
    const { requests, received, sent } = this.#context.traffic
    return { ...this.#counts, ...this.#blobs, requests, bytesReceived: received, bytesSent: sent }
  }

  /** @throws what the records throw, when too many results wait. */
  async add(result: MirrorResult, options: Abortable): Promise<void> {
    this.#counts[result.outcome] += 1
    this.#context.progress?.done?.(result)
    if (result.outcome === 'failed') {
      const { source, tag, reason } = result
      this.firstFailure ??= `${source}${tag === null ? '' : `:${tag}`}: ${reason}`
    }
    if (result.outcome === 'unchanged') return
    if (recurring.has(result.outcome) && this.#counts[result.outcome] > this.#maxKept) return
    this.#waiting.push(result)
    if (this.#waiting.length % batchSize !== 0) return
    try {
      await this.write(options)
    } catch (error) {
      if (this.#waiting.length >= maxWaiting) throw error
    }
  }

  addBlobs({ blobsCopied, blobsMounted }: CopyReport): void {
    this.#blobs.blobsCopied += blobsCopied
    this.#blobs.blobsMounted += blobsMounted
  }

  /** Writes what waits, one batch after the other. @throws what the records throw. */
  async write(options: Abortable): Promise<void> {
    const before = this.#writing
    const writing = before.catch(() => {}).then(() => this.#writeWaiting(options))
    this.#writing = writing
    await writing
  }

  /** Also writes how far it is, unless that has been written. @throws what the records throw. */
  async save(options: Abortable): Promise<void> {
    const { records, run, progress } = this.#context
    await this.write(options)
    const far = { totals: this.totals, ...this.paused }
    const text = JSON.stringify(far)
    // A run may be paused for hours.
    if (text === this.#saved) return
    progress?.totals?.(far.totals)
    await records.saveMirrorRun(run, far, options)
    this.#saved = text
  }

  async #writeWaiting(options: Abortable): Promise<void> {
    const { records, run } = this.#context
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, batchSize)
      await records.addMirrorResults(run, batch, options)
      this.#waiting = this.#waiting.slice(batch.length)
    }
  }
}
