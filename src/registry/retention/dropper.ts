import type { Abortable } from '../../storage/abortable.ts'
import type { NewAuditEntry } from '../../storage/metadata/audit-records.ts'
import type { CollectRecords } from '../../storage/metadata/collect-records.ts'
import type { ExpiredTag, RetentionRecords } from '../../storage/metadata/retention-records.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import { rest } from '../rest.ts'
import type { TagVerdict } from './decide-tags.ts'
import type { UntaggedVerdict } from './decide-untagged.ts'
import { auditEntryOf, type Drop } from './drop-audit.ts'
import { retentionRequester } from './requester.ts'

export interface DropperParts {
  readonly records: Pick<RetentionRecords, 'expireTag' | 'dropUntagged'> &
    Pick<CollectRecords, 'collectState'>
  /** Keeps who did what. */
  readonly audit: (entries: readonly NewAuditEntry[], options: Abortable) => Promise<void>
  readonly now: () => number
}

/** Drops after which it is asked whether all stops, and what was done is told to the audit log. */
const dropsAtOnce = 50

/** Drops what was decided on, one after another, with rests between them, until its time is over or it has to stop. */
export class Dropper {
  readonly #parts: DropperParts
  #endMs: number
  readonly #options: Abortable
  #drops: Drop[] = []
  #isPaused = false

  /** @param endMs when it stops, by `performance.now()`. */
  constructor(parts: DropperParts, endMs: number, options: Abortable) {
    this.#parts = parts
    this.#endMs = endMs
    this.#options = options
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Whether it has to stop: the rest is left for later. */
  get isOver(): boolean {
    return this.#isPaused || performance.now() >= this.#endMs
  }

  /** Gives it so long from now, at least: as long as it took to decide, so that more is done than decided again. */
  extend(ms: number): void {
    this.#endMs = Math.max(this.#endMs, performance.now() + ms)
  }

  /** Answers whether it was dropped; not when it has changed since it was decided on. */
  async expire({ repository, tag, digest, setAt, expiresAt }: ExpiredTag): Promise<boolean> {
    return await this.#drop(
      { repository, reference: tag, reason: `its time was ${expiresAt.toISOString()}` },
      () =>
        this.#parts.records.expireTag(
          { repository, tag, digest, setAt, dueBy: new Date(this.#parts.now()) },
          { ...this.#options, by: retentionRequester },
        ),
    )
  }

  /** As {@link expire}. */
  async dropTag(
    repository: RepositoryName,
    { facts: { tag, digest, pushedAt }, reason, notPulledSince }: TagVerdict,
  ): Promise<boolean> {
    return await this.#drop({ repository, reference: tag, reason }, () =>
      this.#parts.records.expireTag(
        { repository, tag, digest, setAt: pushedAt, notPulledSince },
        { ...this.#options, by: retentionRequester },
      ),
    )
  }

  /** As {@link expire}. */
  async dropUntagged(
    repository: RepositoryName,
    { facts: { digest }, since, reason }: UntaggedVerdict,
  ): Promise<boolean> {
    return await this.#drop({ repository, reference: digest, reason }, () =>
      this.#parts.records.dropUntagged(repository, digest, since, {
        ...this.#options,
        by: retentionRequester,
      }),
    )
  }

  /** Tells the audit log what it was not told yet. Call it in the end, whatever the end is. */
  async tell(options: Abortable = this.#options): Promise<void> {
    if (this.#drops.length === 0) return
    await this.#parts.audit(this.#drops.map(auditEntryOf), options)
    // Only now: what could not be told is told in the end.
    this.#drops = []
  }

  async #drop(drop: Omit<Drop, 'at'>, attempt: () => Promise<boolean>): Promise<boolean> {
    const beganAt = performance.now()
    const isDone = await attempt()
    if (isDone) this.#drops.push({ ...drop, at: new Date(this.#parts.now()) })
    if (this.#drops.length >= dropsAtOnce) {
      await this.tell()
      this.#isPaused = (await this.#parts.records.collectState(this.#options)).pausedAt !== null
    }
    await rest(beganAt, this.#options)
    return isDone
  }
}
