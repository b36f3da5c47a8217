import { LRUCache } from 'lru-cache'
import type { Logger } from '../../log.ts'
import type { Digest } from '../../storage/digest.ts'
import { hourMs } from '../../storage/durations.ts'
import type { PulledManifest, UpstreamRecords } from '../../storage/metadata/mirror-records.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import { BatchWriter } from '../batch-writer.ts'

export interface PullNotesOptions {
  readonly records: Pick<UpstreamRecords, 'notePulled'>
  readonly log: Logger
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
  /** How often the same manifest is written down. Milliseconds. */
  readonly everyMs?: number | undefined
}

const maxRemembered = 50_000

/** Remembers what is pulled, so that what nobody pulls can be evicted: roughly, for eviction counts in days. */
export class PullNotes implements AsyncDisposable {
  readonly #writer: BatchWriter<PulledManifest>
  readonly #noted: LRUCache<string, true>
  readonly #now: () => number

  constructor({ records, log, now = Date.now, everyMs = hourMs }: PullNotesOptions) {
    this.#now = now
    this.#noted = new LRUCache({ max: maxRemembered, ttl: everyMs })
    this.#writer = new BatchWriter({
      what: 'times of pulls',
      log,
      write: async (pulled, options) => {
        await records.notePulled(pulled, options)
        return pulled.length
      },
      // It only looks a little older than it is.
      onDropped: () => {},
    })
  }

  /** Never waits and never fails. */
  note(repository: RepositoryName, digest: Digest): void {
    const key = `${repository}@${digest}`
    if (this.#noted.has(key)) return
    this.#noted.set(key, true)
    this.#writer.add({ repository, digest, at: new Date(this.#now()) })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }
}
