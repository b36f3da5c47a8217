import { LRUCache } from 'lru-cache'
import type { Logger } from '../../log.ts'
import type { Digest } from '../../storage/digest.ts'
import type { PulledManifest, UpstreamRecords } from '../../storage/metadata/upstream-records.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import { BatchWriter } from '../batch-writer.ts'
import { pullNoteMs } from './ready-policy.ts'

export interface PullNotesOptions {
  readonly records: Pick<UpstreamRecords, 'notePulled'>
  readonly log: Logger
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
  /** How often the same manifest is written down. Milliseconds. */
  readonly everyMs?: number | undefined
}

const maxRemembered = 50_000

/** Told of manifests that are pulled. Never waits and never fails. */
export interface PullNoter {
  note(repository: RepositoryName, digest: Digest): void
}

/** Remembers when what is pulled was pulled last, roughly: rules and eviction count in days. */
export class PullNotes implements PullNoter, AsyncDisposable {
  readonly #writer: BatchWriter<PulledManifest>
  readonly #noted: LRUCache<string, true>
  readonly #now: () => number

  constructor({ records, log, now = Date.now, everyMs = pullNoteMs }: PullNotesOptions) {
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
