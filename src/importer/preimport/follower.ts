import { setTimeout as sleep } from 'node:timers/promises'
import { isDomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import { backoffMs } from '../../storage/backoff.ts'
import type { EventLine } from '../../storage/remote/event-lines.ts'
import type { EventStream } from '../../storage/remote/event-stream.ts'
import { Backlog } from './backlog.ts'
import type { PreimportOutcome } from './import-pushed.ts'
import { type PreimportRule, wanted } from './preimport-rule.ts'
import type { SavedPosition } from './saved-position.ts'

export interface FollowerParts {
  readonly rule: PreimportRule
  readonly stream: Pick<EventStream, 'edge' | 'read'>
  readonly saved: SavedPosition
  /** Rejects only by the signal. */
  readonly importImage: (image: string, signal: AbortSignal) => Promise<PreimportOutcome>
  readonly log: Logger
  readonly maxBackoffMs: number
  readonly onEvents?: ((count: number) => void) | undefined
  readonly onImported?: ((outcome: PreimportOutcome) => void) | undefined
}

/** Images that wait to be imported; what comes after them is read when one of them is done. */
const maxPending = 500
/** After an answer that brought nothing, however early it ended. */
const idleMs = 1000

/** Reads one rule's stream and imports what it tells of, from where it was the last time, for ever. */
export class Follower {
  readonly #parts: FollowerParts
  readonly #running = new Set<Promise<void>>()
  /** Resolves when one more of the running imports has ended. */
  #freed = Promise.withResolvers<void>()
  #savedUpTo: number | undefined
  #saving: Promise<void> = Promise.resolve()

  constructor(parts: FollowerParts) {
    this.#parts = parts
  }

  /** Until the signal aborts; the position is that of what is done then. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    let backlog: Backlog | undefined
    for (let failures = 0; !signal.aborted; ) {
      const before = backlog?.read
      try {
        backlog ??= await this.#begin(signal)
        await this.#readOn(backlog, signal)
        failures = 0
        if (backlog.read === before)
          await sleep(Math.min(idleMs, this.#parts.maxBackoffMs), undefined, { signal })
      } catch (error) {
        if (signal.aborted) break
        // What stands between may cut every answer, and yet all of it comes.
        failures = before !== undefined && backlog?.read !== before ? 1 : failures + 1
        await this.#failed(error, failures, backlog, signal).catch(() => {})
      }
    }
    await Promise.all(this.#running)
    await this.#saving
  }

  async #begin(signal: AbortSignal): Promise<Backlog> {
    const { rule, saved, stream, log } = this.#parts
    const known = await saved.load()
    const position = known ?? (await stream.edge(rule.fromBeginning ? 'oldest' : 'newest', { signal }))
    // So that what is pushed from now on is not missed by a first run that ends early.
    if (known === undefined) await saved.save(position)
    this.#savedUpTo = position
    log.info({ rule: rule.name, position, isNew: known === undefined }, 'pushed images are followed')
    return new Backlog(position)
  }

  async #readOn(backlog: Backlog, signal: AbortSignal): Promise<void> {
    const { rule, stream, log } = this.#parts
    const { lines } = await stream.read(backlog.read, { signal })
    let malformed = 0
    try {
      for await (const line of lines) {
        if (line === 'malformed') malformed += 1
        await this.#take(line, backlog, signal)
      }
    } finally {
      if (malformed > 0)
        log.warn({ rule: rule.name, lines: malformed, position: backlog.read }, 'events make no sense')
      this.#save(backlog)
    }
  }

  async #take(line: EventLine, backlog: Backlog, signal: AbortSignal): Promise<void> {
    this.#parts.onEvents?.(1)
    if (line === 'malformed') return backlog.goTo(backlog.read + 1)
    // What comes again, or late, was read before.
    if (line.position <= backlog.read) return
    const image = wanted(line, this.#parts.rule)
    if (image !== undefined) {
      await this.#room(backlog, image, signal)
      if (backlog.add(image, line.position)) this.#start(image, backlog, signal)
    }
    backlog.goTo(line.position)
  }

  /** Waits until one more may be imported. What the signal ends makes no room. */
  async #room(backlog: Backlog, image: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    while (backlog.size >= maxPending && !backlog.has(image)) {
      await this.#freed.promise
      signal.throwIfAborted()
    }
  }

  #start(image: string, backlog: Backlog, signal: AbortSignal): void {
    const running = this.#importUntilSettled(image, backlog, signal).finally(() => {
      this.#running.delete(running)
      this.#freed.resolve()
      this.#freed = Promise.withResolvers()
    })
    this.#running.add(running)
  }

  /** Never rejects. What the signal ends stays undone, so the next start finds it again. */
  async #importUntilSettled(image: string, backlog: Backlog, signal: AbortSignal): Promise<void> {
    const { rule, importImage, log, onImported } = this.#parts
    do {
      try {
        onImported?.(await importImage(image, signal))
      } catch (error) {
        if (signal.aborted) return
        log.error({ rule: rule.name, image, error }, 'importing a pushed image failed')
        onImported?.('failed')
      }
    } while (backlog.settle(image))
    this.#save(backlog)
  }

  /** One after the other, and only what is newer. Never rejects. */
  #save(backlog: Backlog): void {
    const before = this.#saving
    this.#saving = this.#saveAfter(before, backlog)
  }

  /** A failure leaves an older position, by which nothing is missed. */
  async #saveAfter(before: Promise<void>, backlog: Backlog): Promise<void> {
    await before
    const { done } = backlog
    if (done === this.#savedUpTo) return
    try {
      await this.#parts.saved.save(done)
      this.#savedUpTo = done
    } catch (error) {
      this.#parts.log.warn({ rule: this.#parts.rule.name, error }, 'the position is not saved')
    }
  }

  async #failed(
    error: unknown,
    failures: number,
    backlog: Backlog | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { rule, log, maxBackoffMs } = this.#parts
    const pauseMs = backoffMs(failures, maxBackoffMs)
    if (isDomainError(error, 'out_of_range') && backlog !== undefined) {
      const oldest = Number(error.details.name)
      log.warn({ rule: rule.name, position: backlog.read, oldest }, 'events are gone; going on at the oldest')
      backlog.goTo(oldest - 1)
    } else if (isDomainError(error))
      log.warn({ rule: rule.name, reason: error.message, failures, pauseMs }, 'events are not read now')
    else log.error({ rule: rule.name, error, failures, pauseMs }, 'following pushed images failed')
    await sleep(pauseMs, undefined, { signal })
  }
}
