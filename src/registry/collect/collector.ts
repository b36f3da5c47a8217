import { type DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { GarbageReport, SweepGarbageOptions } from '../../storage/blobs/upload-sweep.ts'
import type { CollectRecords, ManifestPolicy } from '../../storage/metadata/collect-records.ts'
import type { HistoryRecords } from '../../storage/metadata/history-records.ts'
import type { RepositoryChangeRecords } from '../../storage/metadata/repository-records.ts'
import { rest } from '../rest.ts'
import { type CollectWindow, isInWindow } from './window.ts'

export interface CollectorParts {
  readonly records: CollectRecords &
    Pick<HistoryRecords, 'forgetDeletedManifests'> &
    Pick<RepositoryChangeRecords, 'finishRepositories'>
  /** Deletes objects that the metadata has let go of. */
  readonly sweepGarbage: (options: SweepGarbageOptions) => Promise<GarbageReport>
  /** This process, for others. */
  readonly holder: string
  readonly settings: CollectorSettings
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
}

export interface CollectorSettings {
  readonly policy: ManifestPolicy
  /** Rows that one transaction looks at. */
  readonly batch: number
  /** A tick ends after so long, be there more to do or not. */
  readonly tickMs: number
  /** Undefined: all day long. */
  readonly window: CollectWindow | undefined
}

export interface TickOptions extends Abortable {
  /** Whatever the time is. */
  readonly ignoresWindow?: boolean | undefined
}

/** What one tick did. */
export interface TickReport {
  /** `more`: there is more to do; `elsewhere`: another process is at it. */
  readonly outcome: 'done' | 'more' | 'paused' | 'closed' | 'elsewhere'
  readonly links: number
  readonly blobs: number
  /** Those that were deleted before and cannot be taken back any more, too. */
  readonly manifests: number
  readonly repositories: number
  /** That were deleted from the object store, pieces of uploads too. */
  readonly objects: number
  /** Of the blobs that went; their objects are deleted later. */
  readonly bytes: number
  /** Objects that could not be deleted, and are tried again, and why. */
  readonly failures: readonly DomainError[]
}

type Counts = Omit<TickReport, 'outcome' | 'failures'>

const nothing: Counts = { links: 0, blobs: 0, manifests: 0, repositories: 0, objects: 0, bytes: 0 }

/** Repositories in which one transaction looks for manifests without a tag, when a policy for them begins. */
const repositoriesAtOnce = 20

/** Links that one transaction looks through for those that were never brought into the queue. */
const linksAtOnce = 1000

/**
 * Collects garbage in small steps, each of which is a transaction of its own: whatever dies in between leaves nothing
 * half done, and the next process goes on. The lease spares replicas work that another one does; without it they would do
 * the same twice, and nothing wrong.
 */
export class Collector {
  readonly #parts: CollectorParts
  readonly #now: () => number

  constructor(parts: CollectorParts) {
    this.#parts = parts
    this.#now = parts.now ?? Date.now
  }

  /** Does what is due, as far as the time of a tick goes. @throws DomainError `unavailable`. */
  async tick({ signal, ignoresWindow = false }: TickOptions = {}): Promise<TickReport> {
    const { records, settings, holder } = this.#parts
    const idle = (outcome: TickReport['outcome']): TickReport => ({ outcome, ...nothing, failures: [] })
    // It deletes nothing, and nothing can be pushed there before it is done.
    await records.finishRepositories({ signal })
    const { window } = settings
    if (!ignoresWindow && window !== undefined && !isInWindow(window, new Date(this.#now())))
      return idle('closed')
    if ((await records.collectState({ signal })).pausedAt !== null) return idle('paused')
    if (!(await this.#lead({ signal }))) return idle('elsewhere')
    try {
      return await this.#work({ signal })
    } finally {
      await records.releaseCollection(holder).catch((error: unknown) => {
        // It runs out.
        if (!isDomainError(error)) throw error
      })
    }
  }

  /** Longer than a tick, so that it is held from the beginning to the end of one. */
  #lead(options: Abortable): Promise<boolean> {
    const { records, holder, settings } = this.#parts
    const until = new Date(this.#now() + 2 * settings.tickMs)
    return records.leaseCollection({ holder, until }, options)
  }

  async #work(options: Abortable): Promise<TickReport> {
    const { records, sweepGarbage } = this.#parts
    const end = performance.now() + this.#parts.settings.tickMs
    await records.noteTick(options)
    const counts = { ...nothing }
    let isDone = true
    for (const step of this.#steps(counts, options)) {
      let hasMore = true
      while (hasMore && performance.now() < end) {
        const beganAt = performance.now()
        hasMore = await step()
        if (hasMore) await rest(beganAt, options)
        if (hasMore && (await records.collectState(options)).pausedAt !== null)
          return { ...counts, outcome: 'paused', failures: [] }
      }
      isDone &&= !hasMore
    }
    let isPaused = false
    let batchAt = performance.now()
    const swept = await sweepGarbage({
      ...options,
      goesOn: async () => {
        await rest(batchAt, options)
        batchAt = performance.now()
        isPaused = (await records.collectState(options)).pausedAt !== null
        return !isPaused && performance.now() < end
      },
    })
    const { objects, failures } = swept
    return {
      ...counts,
      objects,
      failures,
      outcome: isPaused ? 'paused' : isDone && swept.isDone ? 'done' : 'more',
    }
  }

  /** Each answers whether there is more of its kind. Manifests let go of links, and links leave repositories empty. */
  #steps(counts: { -readonly [Name in keyof Counts]: number }, options: Abortable) {
    const { records, settings } = this.#parts
    const { policy, batch } = settings
    return [
      async () => {
        const forgotten = await records.forgetDeletedManifests(batch, options)
        counts.manifests += forgotten
        // What an index named can go when that has gone.
        return forgotten > 0
      },
      () => records.enqueueUntagged(policy.untaggedMs !== undefined, repositoriesAtOnce, options),
      async () => {
        const { seen, manifests } = await records.reviewManifests(policy, batch, options)
        counts.manifests += manifests
        return seen === batch
      },
      async () => {
        const { seen, links, blobs, bytes } = await records.reviewLinks(batch, options)
        counts.links += links
        counts.blobs += blobs
        counts.bytes += bytes
        return seen === batch
      },
      async () => {
        const { seen, repositories } = await records.reviewRepositories(batch, options)
        counts.repositories += repositories
        return seen === batch
      },
      () => records.enqueueForgotten(linksAtOnce, options),
    ]
  }
}
