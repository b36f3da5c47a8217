import type { Logger } from '../../../log.ts'
import type { CredentialRecords, CredentialUse } from '../../../storage/metadata/account-records.ts'

/** Who wants to know when credentials are used. Never waits and never fails. */
export interface UseLog {
  note(use: CredentialUse): void
}

export interface UseNotesOptions {
  readonly records: Pick<CredentialRecords, 'noteUses'>
  readonly log: Logger
  /** Credentials that may wait; 10,000 unless given. Uses of more of them are forgotten. */
  readonly limit?: number | undefined
  /** Milliseconds from a use until it is written; 30,000 unless given. */
  readonly everyMs?: number | undefined
}

/** Uses of one transaction. */
const batchSize = 500

/** How long a process that stops tries to write what is left. */
const lastWriteMs = 2_000

/**
 * Collects when credentials were last used, and writes many of them at once, some time later: a login must not wait
 * for that, and a busy robot is one row and not one for each request.
 */
export class UseNotes implements UseLog, AsyncDisposable {
  readonly #options: UseNotesOptions
  readonly #limit: number
  readonly #everyMs: number
  /** By account and credential, the last one. */
  #waiting = new Map<string, CredentialUse>()
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()
  #isFailing = false

  constructor({ limit = 10_000, everyMs = 30_000, ...options }: UseNotesOptions) {
    this.#options = options
    this.#limit = limit
    this.#everyMs = everyMs
  }

  note(use: CredentialUse): void {
    const key = `${use.account} ${use.credential ?? ''}`
    if (this.#waiting.size >= this.#limit && !this.#waiting.has(key)) return
    this.#waiting.set(key, use)
    this.#schedule()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer)
    await this.#writing
    await this.#write(AbortSignal.timeout(lastWriteMs))
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    // It alone keeps no process alive: what waits is written when it is disposed of.
    this.#timer ??= setTimeout(() => {
      this.#writing = this.#write()
    }, this.#everyMs).unref()
  }

  async #write(signal?: AbortSignal): Promise<void> {
    this.#timer = undefined
    const { records, log } = this.#options
    try {
      while (this.#waiting.size > 0) {
        const batch = [...this.#waiting].slice(0, batchSize)
        await records.noteUses(
          batch.map(([, use]) => use),
          { signal },
        )
        // What has come meanwhile is written next time.
        for (const [key, use] of batch) if (this.#waiting.get(key) === use) this.#waiting.delete(key)
        this.#isFailing = false
      }
    } catch (error) {
      if (!this.#isFailing)
        log.warn({ error }, 'when credentials were last used cannot be written now; it waits')
      this.#isFailing = true
      this.#schedule()
    }
  }
}
