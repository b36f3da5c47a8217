import { setImmediate as others } from 'node:timers/promises'
import { type DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { UnfinishedWrite } from '../objects/object-store.ts'
import type { BlobStoreParts } from './blob-store-parts.ts'
import type { UploadId } from './blob-store.ts'
import { deleteUploadBytes } from './upload-bytes.ts'

/** What one sweep did. */
export interface SweepReport {
  /** Sessions that expired, tombstones included. */
  readonly sessions: number
  /** Objects that nothing named any more. */
  readonly objects: number
  /** Writes that a crash had cut off before anybody knew of them. */
  readonly unfinished: number
  /** What is left to the next sweep, and why. */
  readonly failures: readonly DomainError[]
}

/** What became of objects that nothing named any more. */
export interface GarbageReport extends Pick<SweepReport, 'objects' | 'failures'> {
  /** Whether there was nothing left that could be tried. */
  readonly isDone: boolean
}

export interface SweepGarbageOptions extends Abortable {
  /** Asked between batches; unless given, it goes on until nothing is left. */
  readonly goesOn?: (() => Promise<boolean>) | undefined
}

/** How much is asked for at a time. */
const batch = 1000

/** Rows of one transaction, for which pushes wait. */
const forgottenAtOnce = 200

/** After so many failures one after the other it is not the item that is at fault, and the rest waits. */
const patience = 20

/**
 * Deletes expired sessions with their bytes, then objects that sessions have let go of, then what was begun in the
 * object store so long ago that no session can still be about to name it. Each deletion stands by itself; what fails
 * is tried again next time. Objects of blobs are left to {@link sweepGarbage}, which can be paused.
 */
export async function sweepUploads(
  parts: BlobStoreParts,
  now: Date,
  options?: Abortable,
): Promise<SweepReport> {
  const sweep = new Sweep(parts, options)
  const sessions = await sweep.sessions(now)
  const objects = await sweep.garbage({ ofUploads: true })
  const unfinished = await sweep.unfinished(new Date(now.getTime() - parts.settings.uploadTtlMs))
  return { sessions, objects, unfinished, failures: sweep.failures }
}

/** Deletes objects that the metadata has let go of, and nothing else. What cannot be deleted goes to the end of the queue. */
export async function sweepGarbage(
  parts: BlobStoreParts,
  { signal, goesOn }: SweepGarbageOptions = {},
): Promise<GarbageReport> {
  const sweep = new Sweep(parts, { signal })
  let isDone = true
  const objects = await sweep.garbage({
    ofUploads: false,
    goesOn: async () => {
      isDone = (await goesOn?.()) ?? true
      return isDone
    },
  })
  return { objects, failures: sweep.failures, isDone }
}

class Sweep {
  readonly failures: DomainError[] = []
  readonly #parts: BlobStoreParts
  readonly #options: Abortable | undefined
  #failuresInARow = 0

  constructor(parts: BlobStoreParts, options: Abortable | undefined) {
    this.#parts = parts
    this.#options = options
  }

  sessions(now: Date): Promise<number> {
    const { metadata } = this.#parts
    return this.#inBatches(
      () => metadata.expiredUploads(now, batch, this.#options),
      record => record.id,
      ({ id }) => dropSession(this.#parts, id, now),
    )
  }

  garbage({
    ofUploads,
    goesOn,
  }: {
    readonly ofUploads: boolean
    readonly goesOn?: () => Promise<boolean>
  }): Promise<number> {
    const { metadata, objects } = this.#parts
    const drop = async (keys: readonly ObjectKey[]) => {
      await objects.delete(keys, this.#options)
      for (let start = 0; start < keys.length; start += forgottenAtOnce) {
        await metadata.forgetGarbage(keys.slice(start, start + forgottenAtOnce), this.#options)
        // An embedded database answers at once, and nobody else would have a turn before all is done.
        await others()
      }
    }
    return this.#inBatches(
      () => metadata.listGarbage(batch, { ...this.#options, ofUploads }),
      key => key,
      async key => {
        try {
          await drop([key])
        } catch (error) {
          if (isDomainError(error)) await metadata.postponeGarbage([key], this.#options)
          throw error
        }
      },
      { all: drop, goesOn },
    )
  }

  async unfinished(before: Date): Promise<number> {
    const { metadata, objects } = this.#parts
    const old: UnfinishedWrite[] = []
    for await (const write of objects.unfinished(this.#options)) if (write.since < before) old.push(write)
    let count = 0
    for (let start = 0; start < old.length; start += batch) {
      const writes = old.slice(start, start + batch)
      const tokens = writes.map(write => write.token)
      const known = await metadata.knownMultiparts(tokens, this.#options)
      const lost = writes.filter(write => !known.has(write.token))
      count += await this.#each(lost, write => write.discard(this.#options))
    }
    return count
  }

  /** Goes on while there is more, and while that is other than what has failed. Answers how many were done. */
  async #inBatches<Item>(
    next: () => Promise<readonly Item[]>,
    nameOf: (item: Item) => string,
    one: (item: Item) => Promise<void>,
    {
      all,
      goesOn = () => Promise.resolve(true),
    }: {
      readonly all?: (items: readonly Item[]) => Promise<void>
      readonly goesOn?: (() => Promise<boolean>) | undefined
    } = {},
  ): Promise<number> {
    const tried = new Set<string>()
    let done = 0
    for (;;) {
      const found = await next()
      const fresh = found.filter(item => !tried.has(nameOf(item)))
      for (const item of fresh) tried.add(nameOf(item))
      if (all !== undefined && fresh.length > 0 && (await this.#isDone(() => all(fresh))))
        done += fresh.length
      else done += await this.#each(fresh, one)
      if (found.length < batch || fresh.length === 0 || this.#failuresInARow >= patience) return done
      if (!(await goesOn())) return done
    }
  }

  async #each<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<number> {
    let done = 0
    this.#failuresInARow = 0
    for (const item of items) {
      if (this.#failuresInARow >= patience) break
      if (await this.#isDone(() => work(item), this.failures)) done += 1
    }
    return done
  }

  async #isDone(work: () => Promise<void>, failures?: DomainError[]): Promise<boolean> {
    this.#options?.signal?.throwIfAborted()
    try {
      await work()
      this.#failuresInARow = 0
      return true
    } catch (error) {
      if (!isDomainError(error)) throw error
      this.#failuresInARow += 1
      failures?.push(error)
      return false
    }
  }
}

async function dropSession(parts: BlobStoreParts, id: UploadId, now: Date): Promise<void> {
  // A replica whose clock is behind may have gone on with it since it was listed, or made it a blob.
  const record = await parts.metadata.claimExpiredUpload(id, now)
  if (record === undefined) return
  // A tombstone's object is the blob's.
  if (record.committed === null) await deleteUploadBytes(parts, record)
  await parts.metadata.deleteUpload(record.id)
}
